package memory

// arena holds elements of one size, named by number, in chunks that never move: growing copies nothing, and a few
// thousand chunks are all that the garbage collector sees of it.
type arena[T any] struct {
	chunks [][]T
	shift  uint // a chunk holds 1<<shift elements
	used   uint32
	free   []uint32
}

// at is the element with a number that add returned.
func (a *arena[T]) at(id uint32) *T {
	return &a.chunks[id>>(a.shift&31)][id&(1<<(a.shift&31)-1)]
}

// add returns the number of an element to use: the next one, which is zero, or one that was recycled, which is not.
func (a *arena[T]) add() uint32 {
	if last := len(a.free) - 1; last >= 0 {
		id := a.free[last]
		a.free = a.free[:last]
		return id
	}
	if int(a.used>>a.shift) == len(a.chunks) {
		// The first chunk has small pages, so that a small board takes little more than it fills.
		a.chunks = append(a.chunks, allocate[T](1<<a.shift, len(a.chunks) > 0))
	}
	a.used++
	return a.used - 1
}

// recycle hands an element back to add.
func (a *arena[T]) recycle(id uint32) { a.free = append(a.free, id) }

// release gives all memory back. The arena is of no use afterwards. To release it again does nothing.
func (a *arena[T]) release() {
	for _, chunk := range a.chunks {
		release(chunk)
	}
	a.chunks = nil
}
