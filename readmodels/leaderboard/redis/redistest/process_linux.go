package redistest

import "syscall"

// dieWithParent has the kernel kill the server when the test process dies, however it does.
func dieWithParent(attributes *syscall.SysProcAttr) { attributes.Pdeathsig = syscall.SIGKILL }
