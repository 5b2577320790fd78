//go:build !linux || race

package memory

// allocate returns n zeroed elements on Go's heap: where this package has no other memory to ask for, and under the race
// detector, which sees no other.
func allocate[T any](n int, _ bool) []T { return make([]T, n) }

// release leaves the elements to the garbage collector.
func release[T any]([]T) {}
