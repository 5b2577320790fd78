//go:build linux && !race

package memory

import (
	"fmt"
	"syscall"
	"unsafe"
)

// allocate returns n zeroed elements outside Go's heap. Otherwise, with its default setting, the garbage collector would let garbage grow to
// the size of the board, gigabytes for 50 million customers, before each collection. T must hold no pointers.
//
// huge asks for pages of 2 MiB, if the kernel has them: random reads then miss the TLB far less. If there are none, it has no effect.
func allocate[T any](n int, huge bool) []T {
	size := n * int(unsafe.Sizeof(*new(T)))
	memory, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		panic(fmt.Sprintf("leaderboard: no %d bytes of memory: %v", size, err))
	}
	if huge {
		_ = syscall.Madvise(memory, syscall.MADV_HUGEPAGE)
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(memory))), n)
}

// release returns the memory of allocate to the operating system. Nothing may access it afterwards.
func release[T any](elements []T) {
	size := len(elements) * int(unsafe.Sizeof(*new(T)))
	if err := syscall.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(elements))), size)); err != nil {
		panic(fmt.Sprintf("leaderboard: memory that is not ours to release: %v", err))
	}
}
