package postgrestest

import "syscall"

// endWithParent has the system end the program at once when the thread that started it is gone, however that ended.
// PostgreSQL takes SIGQUIT as the order to stop immediately, with all its children.
func endWithParent(attributes *syscall.SysProcAttr) { attributes.Pdeathsig = syscall.SIGQUIT }
