package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"loyalty/api/auth"
	"loyalty/domain"
	"loyalty/eventstore/embedded"
)

// running is a process with all roles on a data folder, run by this test.
type running struct {
	t      *testing.T
	folder Folder
	at     Addresses
	stop   context.CancelFunc
	ended  chan error
}

// run starts a process and waits until it answers. beforeStop may be nil.
func run(t *testing.T, folder Folder, beforeStop func(Addresses) error) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &running{t: t, folder: folder, stop: stop, ended: make(chan error, 1)}
	started := make(chan Addresses, 1)
	config := Config{
		Roles: Roles{Command: true, Query: true, Project: true}, Connections: folder.Connections(), History: folder.HistoryDir(),
		Addr: "127.0.0.1:0", AdminAddr: "127.0.0.1:0", EventStore: Quiet(), Exclusive: true, Secrets: folder.Secrets,
		Started: func(at Addresses) func() error {
			started <- at
			return func() error {
				if beforeStop == nil {
					return nil
				}
				return beforeStop(at)
			}
		},
	}
	go func() { r.ended <- Run(ctx, config) }()
	t.Cleanup(func() { stop(); r.ended <- <-r.ended })
	select {
	case r.at = <-started:
	case err := <-r.ended:
		r.ended <- err
		t.Fatalf("it ended before it started: %v", err)
	}
	return r
}

// call makes a request until it is answered by something other than 503, which says that the process is not ready yet.
func (r *running) call(who auth.Claims, method, path string, body, result any, headers ...string) int {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	token, err := r.folder.Mint(who, time.Hour)
	if err != nil {
		r.t.Fatal(err)
	}
	text, err := json.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	for {
		request, err := http.NewRequestWithContext(ctx, method, "http://"+r.at.API.String()+path, bytes.NewReader(text))
		if err != nil {
			r.t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(headers); i += 2 {
			request.Header.Set(headers[i], headers[i+1])
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			r.t.Fatal(err)
		}
		answer, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			r.t.Fatal(err)
		}
		if response.StatusCode == http.StatusServiceUnavailable {
			continue
		}
		if err := json.Unmarshal(answer, result); err != nil {
			r.t.Fatalf("%s %s: %d, %s: %v", method, path, response.StatusCode, answer, err)
		}
		return response.StatusCode
	}
}

// place posts an order of 129.99 pounds, and returns the status and the answer's position.
func (r *running) place(order string) (status int, position string) {
	r.t.Helper()
	var placed struct {
		Points   domain.Points
		Position string
	}
	status = r.call(auth.Claims{Subject: "shop", Role: auth.RoleChannel, Channel: domain.Website}, http.MethodPost, "/order/"+order, map[string]any{
		"ItemIds": []string{"mug"}, "paymentDetails": map[string]any{"amount": "129.99", "currency": "GBP", "method": "card"}, "customerId": "alice",
	}, &placed)
	if placed.Points != 13 {
		r.t.Errorf("order %s: status %d, %d points; want 13", order, status, placed.Points)
	}
	return status, placed.Position
}

// points are those on alice's dashboard at a position.
func (r *running) points(position string) (points domain.Points) {
	r.t.Helper()
	var dashboard struct {
		You struct{ Points domain.Points }
	}
	if status := r.call(auth.Claims{Subject: "alice", Role: auth.RoleCustomer}, http.MethodGet, "/loyalty/alice", nil, &dashboard, "Loyalty-Min-Position", position); status != http.StatusOK {
		r.t.Errorf("a dashboard: status %d", status)
	}
	return dashboard.You.Points
}

// end stops the process and returns what Run returned.
func (r *running) end() error {
	r.stop()
	err := <-r.ended
	r.ended <- err
	return err
}

func healthy(at Addresses) error {
	response, err := http.Get("http://" + at.Admin.String() + "/healthz")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("/healthz: %s", response.Status)
	}
	return nil
}

func TestRunServesUntilItsContextEndsAndStopsInOrder(t *testing.T) {
	// Given a process on a folder, with free ports
	folder := Folder(t.TempDir())
	r := run(t, folder, healthy)
	if err := healthy(r.at); err != nil {
		t.Fatal(err)
	}
	// When an order is placed
	status, position := r.place("o-1")
	if status != http.StatusCreated {
		t.Errorf("the order: status %d", status)
	}
	// Then the dashboard has its points
	if points := r.points(position); points != 13 {
		t.Errorf("the dashboard has %d points", points)
	}
	// When the context ends
	if err := r.end(); err != nil { // healthy ran first, while requests were answered
		t.Errorf("it stopped with %v", err)
	}
	// Then nothing is answered any more, and another process finds everything in the folder
	if err := healthy(r.at); err == nil {
		t.Error("a process that has ended answers")
	}
	again := run(t, folder, nil)
	status, position = again.place("o-1")
	if status != http.StatusOK || again.points(position) != 13 {
		t.Errorf("the same order in the next process: status %d", status)
	}
	if err := again.end(); err != nil {
		t.Errorf("the next one stopped with %v", err)
	}
}

func TestRunSaysWhatIsWrongBeforeItServes(t *testing.T) {
	folder := Folder(t.TempDir())
	first := run(t, folder, nil)
	valid := Config{
		Roles: Roles{Command: true, Query: true, Project: true}, Connections: folder.Connections(), Addr: "127.0.0.1:0", AdminAddr: "127.0.0.1:0",
		EventStore: Quiet(), Exclusive: true, Secrets: folder.Secrets, Started: func(Addresses) func() error { t.Error("it started"); return nil },
	}
	// a folder that another process uses
	if err := Run(t.Context(), valid); !errors.Is(err, embedded.ErrInUse) {
		t.Errorf("on a folder in use: %v", err)
	}
	// an address that another process listens on
	taken := valid
	taken.Addr = first.at.API.String()
	if err := Run(t.Context(), taken); err == nil {
		t.Error("it listens on an address in use")
	}
	// a store that is not given
	var config ConfigError
	for name, c := range map[string]Connections{
		"event store": {Ledger: valid.Ledger, Leaderboard: MemoryScheme}, "ledger": {Eventstore: EmbeddedScheme + t.TempDir(), Leaderboard: MemoryScheme},
		"leaderboard": {Eventstore: EmbeddedScheme + t.TempDir(), Ledger: SQLiteScheme + string(folder) + "/other.sqlite"},
	} {
		missing := valid
		missing.Connections = c
		if err := Run(t.Context(), missing); !errors.As(err, &config) {
			t.Errorf("without the %s: %v", name, err)
		}
	}
	if err := first.end(); err != nil {
		t.Errorf("the first process stopped with %v", err)
	}
}

// Given a process whose opening takes long
// When operators ask meanwhile
// Then it lives, and is not ready; and it is once it has opened.
func TestOperatorsAreAnsweredWhileAProcessOpens(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	folder, admin := Folder(t.TempDir()), free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	opening, open := make(chan struct{}), make(chan struct{})
	started := make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Config{
			Roles: Roles{Command: true}, Connections: folder.Connections(), Addr: "127.0.0.1:0", AdminAddr: admin, EventStore: Quiet(), Exclusive: true,
			Secrets: func() (domain.Proxies, *auth.Verifier, error) {
				close(opening)
				<-open
				return folder.Secrets()
			},
			Started: func(Addresses) func() error { close(started); return func() error { return nil } },
		})
	}()
	status := func(path string) int {
		t.Helper()
		response, err := http.Get("http://" + admin + path)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return response.StatusCode
	}
	<-opening
	if lives, ready := status("/healthz"), status("/readyz"); lives != http.StatusOK || ready != http.StatusServiceUnavailable {
		t.Errorf("while it opens: /healthz %d, /readyz %d", lives, ready)
	}
	close(open)
	<-started
	if lives, ready := status("/healthz"), status("/readyz"); lives != http.StatusOK || ready != http.StatusOK {
		t.Errorf("once it has opened: /healthz %d, /readyz %d", lives, ready)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestRunReturnsWhatBeforeStopFailedWith(t *testing.T) {
	failed := errors.New("the demo failed")
	r := run(t, Folder(t.TempDir()), func(Addresses) error { return failed })
	if err := r.end(); !errors.Is(err, failed) {
		t.Errorf("it stopped with %v", err)
	}
}
