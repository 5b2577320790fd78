//go:build !linux

package postgrestest

import "syscall"

// endWithParent is not available here: a server outlives a test process that is killed.
func endWithParent(*syscall.SysProcAttr) {}
