//go:build !race

package main

// raceDetector: the program under test is built like the test is.
const raceDetector = false
