// Package problem has the errors of requests, besides those of package domain.
package problem
