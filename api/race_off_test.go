//go:build !race

package api_test

// raceDetector: this test is built with it, and runs beside the tests of other packages.
const raceDetector = false
