//go:build !linux

package redistest

import "syscall"

// dieWithParent is not available here: servers end with their tests' cleanup.
func dieWithParent(*syscall.SysProcAttr) {}
