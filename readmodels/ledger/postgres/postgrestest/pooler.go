package postgrestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Pooler is a PgBouncer before a server, which gives each transaction whatever connection is free.
type Pooler struct {
	server *Server
	folder string
}

// StartPooler runs a PgBouncer in transaction mode before a server, with settings such as "default_pool_size=2" beside the defaults, until the test ends.
// If there is no PgBouncer on the machine, the test fails.
func StartPooler(t testing.TB, s *Server, settings ...string) *Pooler {
	t.Helper()
	p := &Pooler{server: s}
	if err := p.start(t, settings); err != nil {
		t.Fatalf("a PgBouncer for the test: %v", err)
	}
	return p
}

// URL creates an empty database, which is dropped when the test ends, and returns its address behind the pooler and the one
// that leads past it. settings are as in Server.URL.
func (p *Pooler) URL(settings ...string) (through, past string) {
	past = p.server.URL(settings...)
	address, _ := url.Parse(past)
	query := address.Query()
	query.Set("host", p.folder)
	query.Set("port", poolerPort)
	query.Set("sslmode", "disable")
	address.Host, address.RawQuery = "", query.Encode()
	return address.String(), past
}

const poolerPort = "6432" // names the socket

func (p *Pooler) start(t testing.TB, settings []string) error {
	const program = "/usr/sbin/pgbouncer"
	if _, err := os.Stat(program); err != nil {
		return errors.New("there is none on this machine: install the package pgbouncer")
	}
	there, err := pgx.ParseConfig(p.server.address.String())
	if err != nil {
		return err
	}
	if p.folder, err = makeFolder(nil); err != nil {
		return err
	}
	t.Cleanup(func() { _ = os.RemoveAll(p.folder) })
	password := ""
	if there.Password != "" {
		password = " password=" + there.Password
	}
	config := fmt.Sprintf(`[databases]
* = host=%s port=%d%s
[pgbouncer]
pool_mode = transaction
listen_port = %s
unix_socket_dir = %s
auth_type = trust
auth_file = %[5]s/users
max_client_conn = 1000
default_pool_size = 4
server_idle_timeout = 1
%s
`, there.Host, there.Port, password, poolerPort, p.folder, strings.Join(settings, "\n"))
	users := fmt.Sprintf("%q \"\"\n", there.User)
	for name, content := range map[string]string{"pgbouncer.ini": config, "users": users} {
		if err := os.WriteFile(filepath.Join(p.folder, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	command := exec.Command(program, filepath.Join(p.folder, "pgbouncer.ini"))
	command.SysProcAttr = &syscall.SysProcAttr{}
	if os.Getuid() == 0 {
		// Like PostgreSQL, it refuses to run as root. The server's socket lets in nobody but the server's user.
		if command.SysProcAttr.Credential, err = unprivileged(); err == nil {
			err = os.Chown(p.folder, int(command.SysProcAttr.Credential.Uid), -1)
		}
		if err != nil {
			return err
		}
	}
	endWithParent(command.SysProcAttr)
	var log bytes.Buffer
	command.Stdout, command.Stderr = &log, &log
	started, ended := make(chan error), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // the system ends it with the thread that started it
		err := command.Start()
		started <- err
		if err == nil {
			_ = command.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		<-ended
	})
	ctx, cancel := context.WithTimeout(context.Background(), timeout/4)
	defer cancel()
	address := fmt.Sprintf("host=%s port=%s user=%s dbname=%s sslmode=disable default_query_exec_mode=exec", p.folder, poolerPort, there.User, there.Database)
	for {
		conn, err := pgx.Connect(ctx, address)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ended:
			return fmt.Errorf("it has ended:\n%s", log.Bytes())
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w\n%s", err, log.Bytes())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
