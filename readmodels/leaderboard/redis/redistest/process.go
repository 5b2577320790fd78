package redistest

import (
	"bytes"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
	"testing"
)

// process is a running redis-server. A goroutine waits for it until end.
type process struct {
	command *exec.Cmd
	started chan error
	ended   chan struct{}
	err     error // the result of the process, once ended is closed
}

// run starts redis-server with arguments.
func run(t testing.TB, args ...string) *process {
	t.Helper()
	p := &process{command: exec.Command(program(t), args...), started: make(chan error, 1), ended: make(chan struct{})}
	p.command.SysProcAttr = &syscall.SysProcAttr{Credential: unprivileged(t), Setpgid: true}
	dieWithParent(p.command.SysProcAttr)
	output := new(bytes.Buffer)
	p.command.Stdout, p.command.Stderr = output, output
	go p.wait()
	if err := <-p.started; err != nil {
		t.Fatalf("starting redis-server: %v", err)
	}
	return p
}

// wait keeps its thread until the process ends: on Linux, the parent at whose death the process is killed is the thread that started it.
func (p *process) wait() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.command.Start()
	p.started <- err
	if err == nil {
		p.err = p.command.Wait()
	}
	close(p.ended)
}

// signal ignores errors: a process that has ended needs no signal.
func (p *process) signal(signal syscall.Signal) { _ = p.command.Process.Signal(signal) }

func (p *process) end(signal syscall.Signal) {
	p.signal(signal)
	p.signal(syscall.SIGCONT)
	<-p.ended
}

// unprivileged is the user of servers if this process runs as root, otherwise nil.
func unprivileged(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, uidErr := strconv.ParseUint(nobody.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(nobody.Gid, 10, 32)
	if uidErr != nil || gidErr != nil {
		t.Fatalf("the user nobody has the ids %s and %s", nobody.Uid, nobody.Gid)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}
