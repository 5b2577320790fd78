package memory

// arena holds elements of one size, identified by number, in chunks that never move. Growing copies nothing, and the garbage collector
// sees no more than a few thousand chunks.
type arena[T any] struct {
	chunks [][]T
	shift  uint // a chunk holds 1<<shift elements
	used   uint32
	free   []uint32
}

// at is the element with a number that add has returned.
func (a *arena[T]) at(id uint32) *T {
	return &a.chunks[id>>(a.shift&31)][id&(1<<(a.shift&31)-1)]
}

// add returns the number of a free element: a recycled one, which is not zeroed, or a new one, which is.
func (a *arena[T]) add() uint32 {
	if last := len(a.free) - 1; last >= 0 {
		id := a.free[last]
		a.free = a.free[:last]
		return id
	}
	if int(a.used>>a.shift) == len(a.chunks) {
		// The first chunk has small pages, so that a small board takes little more memory than it fills.
		a.chunks = append(a.chunks, allocate[T](1<<a.shift, len(a.chunks) > 0))
	}
	a.used++
	return a.used - 1
}

// addAll returns the number of the first of n new elements, which are zeroed and follow each other.
func (a *arena[T]) addAll(n int) (first uint32) {
	first = a.used
	for a.used += uint32(n); int(a.used) > len(a.chunks)<<a.shift; {
		a.chunks = append(a.chunks, allocate[T](1<<a.shift, len(a.chunks) > 0))
	}
	return first
}

// recycle frees an element, for add to return it again.
func (a *arena[T]) recycle(id uint32) { a.free = append(a.free, id) }

// release frees all memory. The arena must not be used afterwards. A second release does nothing.
func (a *arena[T]) release() {
	for _, chunk := range a.chunks {
		release(chunk)
	}
	a.chunks = nil
}
