//go:build !linux

package redistest

import "syscall"

// dieWithParent can't be had here: servers end with their tests' cleanup.
func dieWithParent(*syscall.SysProcAttr) {}
