package redistest

import "syscall"

// dieWithParent makes the kernel kill the server when the test process dies.
func dieWithParent(attributes *syscall.SysProcAttr) { attributes.Pdeathsig = syscall.SIGKILL }
