//go:build !linux

package postgrestest

import "syscall"

// endWithParent can do nothing here: a server outlives a test that is killed.
func endWithParent(*syscall.SysProcAttr) {}
