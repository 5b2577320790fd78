//go:build !linux || race

package memory

// allocate returns n zeroed elements on Go's heap: on operating systems for which this package has no other allocator, and under the race
// detector, which sees only Go's heap.
func allocate[T any](n int, _ bool) []T { return make([]T, n) }

// release leaves the elements to the garbage collector.
func release[T any]([]T) {}
