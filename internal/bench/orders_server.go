package bench

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"loyalty/api/auth"
	"loyalty/domain"
	"loyalty/internal/app"
	"loyalty/internal/cli/flags"
)

// channelCount is the number of channels that order. Each has a token of its own.
const channelCount = 48

// newOrderServer is the server at an address, which accepts tokens signed with a secret.
func newOrderServer(address string, tokenSecret []byte, now time.Time) (*orderServer, error) {
	base, err := url.Parse(strings.TrimSuffix(address, "/"))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, flags.Usage(fmt.Errorf("%q is no address of a server: give one like http://127.0.0.1:8080", address))
	}
	s := &orderServer{base: base, http: &http.Client{Timeout: orderTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	channels := []domain.Channel{domain.Website, domain.Mobile, domain.Store}
	for i := range channelCount {
		channel := channels[i%len(channels)]
		token, err := auth.Mint(tokenSecret, auth.Claims{Subject: fmt.Sprintf("bench-%s-%d", channel, i), Role: auth.RoleChannel, Channel: channel}, 24*time.Hour, now)
		if err != nil {
			return nil, err
		}
		s.tokens = append(s.tokens, token)
	}
	s.support, err = auth.Mint(tokenSecret, auth.Claims{Subject: "bench-audit", Role: auth.RoleSupport}, 24*time.Hour, now)
	return s, err
}

// ownServer is a server in a process of its own. The stores that were not given are in a temporary folder.
type ownServer struct {
	*orderServer
	command *exec.Cmd
	in      io.WriteCloser
	folder  string
	// running ends when the process does. After that, failed is the error that it ended with.
	running context.Context
	failed  error
}

var (
	listeningLine = regexp.MustCompile(`listening on (http://\S+)`)
	readyLine     = regexp.MustCompile(`(http://\S+)/readyz`)
)

// startOwnServer starts one and waits until it is ready. The caller stops it.
func startOwnServer(ctx context.Context, c serverStores, profile string, errs io.Writer) (_ *ownServer, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &ownServer{}
	if s.folder, err = os.MkdirTemp("", "loyalty-bench-"); err != nil {
		return nil, err
	}
	running, ended := context.WithCancel(context.Background())
	s.running = running
	defer func() {
		if s.command == nil || s.command.Process == nil {
			ended()
		}
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	secret := make([]byte, app.SecretLength)
	rand.Read(secret) // never fails
	stores := c.in(app.Folder(s.folder))
	// It is not killed when ctx ends but stopped in order, after the audit. A process group of its own keeps Ctrl-C from it.
	s.command = exec.Command(self, "bench", "serve", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--log-level", "warn", "--profile", profile,
		"--eventstore", stores.Eventstore, "--ledger", stores.Ledger, "--leaderboard", stores.Leaderboard)
	s.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.command.Env = append(withoutSettings(os.Environ()), "LOYALTY_TOKEN_SECRET="+hex.EncodeToString(secret), "LOYALTY_PROXY_SECRET="+hex.EncodeToString(secret))
	s.command.Stderr = errs
	if s.in, err = s.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	said := bufio.NewScanner(out)
	var base, admin string
	for (base == "" || admin == "") && said.Scan() {
		if found := listeningLine.FindStringSubmatch(said.Text()); found != nil {
			base = found[1]
		}
		if found := readyLine.FindStringSubmatch(said.Text()); found != nil {
			admin = found[1]
		}
	}
	go func() { // not before, for it closes what was read above
		defer ended()
		s.failed = s.command.Wait()
	}()
	if admin == "" {
		return nil, errors.New("the server did not start")
	}
	if s.orderServer, err = newOrderServer(base, []byte(hex.EncodeToString(secret)), time.Now()); err != nil {
		return nil, err
	}
	s.cpu = func(ctx context.Context) (time.Duration, error) { return processorTimeAt(ctx, admin) }
	ctx, cancel := s.while(ctx)
	defer cancel()
	return s, s.ready(ctx, admin)
}

// while returns a context that ends with ctx or with the server.
func (s *ownServer) while(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.running, cancel)
	return ctx, func() { stop(); cancel() }
}

// withoutSettings is the environment without this program's settings.
func withoutSettings(environment []string) (rest []string) {
	for _, variable := range environment {
		if !strings.HasPrefix(variable, "LOYALTY_") {
			rest = append(rest, variable)
		}
	}
	return rest
}

// readyWithin is how long the server may take to start. It would wait for its stores for as long as it takes.
const readyWithin = 10 * time.Second

func (s *ownServer) ready(ctx context.Context, admin string) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	var why string
	for {
		text, err := fetch(ctx, admin+"/readyz")
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			why = text
		}
		if !waitUntil(ctx, time.Now().Add(20*time.Millisecond)) {
			return fmt.Errorf("the server did not start: %w: %s", err, why)
		}
	}
}

// measured tells the server that the measurement is over, which ends its CPU profile.
func (s *ownServer) measured() error { _, err := io.WriteString(s.in, "\n"); return err }

// stop stops the server and removes its folder.
func (s *ownServer) stop() error {
	if s.in != nil {
		_ = s.in.Close() // an error says that the process has ended, as it shall
	}
	<-s.running.Done()
	return errors.Join(s.failed, os.RemoveAll(s.folder))
}

// processorTimeAt is the processor time that a process has used, by its metrics.
func processorTimeAt(ctx context.Context, admin string) (time.Duration, error) {
	text, err := fetch(ctx, admin+"/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "process_cpu_seconds_total "); ok {
			seconds, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return time.Duration(seconds * float64(time.Second)), err
		}
	}
	return 0, errors.New("the server's metrics don't hold its processor time")
}

func fetch(ctx context.Context, address string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", address, response.Status)
	}
	return string(text), err
}

// serverStores are stores that a benchmark's own server is to use. They are never taken from the environment, which may name
// the real ones.
type serverStores struct {
	Eventstore  string `help:"Where its own server keeps the events: esdb://… or embedded:DIR. Default: in a throwaway folder." placeholder:"URL"`
	Ledger      string `help:"Where its own server keeps the ledger: postgres://… or sqlite:FILE. Default: in the throwaway folder." placeholder:"URL"`
	Leaderboard string `help:"Where its own server keeps the leaderboard: redis://… or memory:." default:"memory:" placeholder:"URL"`
}

// in gives the connections, with those that were not given in a folder.
func (b serverStores) in(dir app.Folder) app.Connections {
	c := app.Connections{Eventstore: b.Eventstore, Ledger: b.Ledger, Leaderboard: b.Leaderboard}
	if c.Eventstore == "" {
		c.Eventstore = app.EmbeddedScheme + filepath.Join(string(dir), "eventstore")
	}
	if c.Ledger == "" {
		c.Ledger = app.SQLiteScheme + dir.LedgerFile()
	}
	return c
}
