package postgrestest

import "syscall"

// endWithParent makes the system end the program when the thread that started it ends. On SIGQUIT, PostgreSQL stops immediately, with all its
// children.
func endWithParent(attributes *syscall.SysProcAttr) { attributes.Pdeathsig = syscall.SIGQUIT }
