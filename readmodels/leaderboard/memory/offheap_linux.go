//go:build linux && !race

package memory

import (
	"fmt"
	"syscall"
	"unsafe"
)

// allocate returns n zeroed elements outside Go's heap. A board of 50 million then neither gives the garbage collector
// anything to mark nor lets it wait, at its default setting, until as much garbage again has gathered. T holds no pointers.
//
// huge asks for pages of 2 MiB where the kernel has them: reads at random through gigabytes then miss the processor's
// address cache far less. It is only a wish.
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

// release gives back what allocate returned, to the operating system and at once. Nothing may read it any more.
func release[T any](elements []T) {
	size := len(elements) * int(unsafe.Sizeof(*new(T)))
	if err := syscall.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(elements))), size)); err != nil {
		panic(fmt.Sprintf("leaderboard: memory that is not ours to release: %v", err))
	}
}
