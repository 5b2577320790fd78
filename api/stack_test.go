package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"loyalty/api"
	"loyalty/api/admin"
	"loyalty/api/admission"
	"loyalty/api/auth"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/season"
	"loyalty/eventstore"
	"loyalty/eventstore/storetest"
	"loyalty/internal/problem"
	"loyalty/projections"
	"loyalty/queries"
	"loyalty/readmodels/history"
	"loyalty/readmodels/leaderboard/memory"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/sqlite"
)

var tokenSecret = []byte("a secret of these tests, 32 bytes")

// The callers of these tests.
var (
	till    = auth.Claims{Subject: "till-7", Role: auth.RoleChannel, Channel: domain.Store}
	awarder = auth.Claims{Subject: "app-1", Role: auth.RoleChannel, Channel: domain.Mobile, Rights: "read award"}
	support = auth.Claims{Subject: "staff-3", Role: auth.RoleSupport}
	analyst = auth.Claims{Subject: "analyst-1", Role: auth.RoleAnalyst}
	ann     = customer("ann")
)

func customer(id string) auth.Claims {
	return auth.Claims{Subject: id, Role: auth.RoleCustomer, Channel: domain.Website}
}

// customerWithOrder is a customer who may place orders.
func customerWithOrder(id string) auth.Claims {
	claims := customer(id)
	claims.Rights = "order"
	return claims
}

// site is a server over HTTP on the loopback interface, with all it says checked against the document.
type site struct {
	t       testing.TB
	url     string
	admin   string
	doc     *document
	log     *lockedBuffer
	metrics *prometheus.Registry
}

// config is a complete configuration but for what a process works on.
func config(t testing.TB, log io.Writer) api.Config {
	t.Helper()
	verifier, err := auth.NewSecretVerifier(tokenSecret, auth.Settings{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	proxies, err := domain.NewProxies([]byte("another secret of these tests"))
	if err != nil {
		t.Fatal(err)
	}
	return api.Config{
		Proxies: proxies, Verifier: verifier, Now: time.Now, NewRequestID: uuid.NewString,
		Log:     slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Ready:   ready(func(context.Context) error { return nil }),
		Status:  func(context.Context) admin.Status { return admin.Status{Roles: []string{"query"}} },
		Metrics: prometheus.NewRegistry(),
		Views:   fixed{},
		// Tests ask again and again, as fast as they can.
		Limits: admission.Limits{WriteRates: admission.NoRates(), ReadRates: admission.NoRates(), LiveStreamsOfSubject: 1000},
	}
}

// ready is the readiness of a process with the query role alone.
func ready(check func(context.Context) error) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{"query": check}
}

// serve starts a site on a configuration that change completes.
func serve(t testing.TB, doc *document, change func(*api.Config)) *site {
	t.Helper()
	s := &site{t: t, doc: doc, log: new(lockedBuffer)}
	c := config(t, s.log)
	change(&c)
	server, err := api.New(c)
	if err != nil {
		t.Fatal(err)
	}
	public, admin := httptest.NewServer(server), httptest.NewServer(server.Admin())
	t.Cleanup(public.Close)
	t.Cleanup(admin.Close)
	s.url, s.admin, s.metrics = public.URL, admin.URL, c.Metrics
	return s
}

// stack is a site on the real thing: the embedded event store, the ledger in SQLite, the leaderboard in memory, the history in a
// folder, and the projections that feed them.
type stack struct {
	*site
	dir   string
	store *eventstore.Store
	board *memory.Board
	// commands are those behind the API.
	commands *commands.Handler
}

func startStack(t testing.TB, doc *document) *stack {
	t.Helper()
	dir, target := storetest.Start(t)
	s := &stack{dir: dir, store: storetest.Connect(t, target), board: memory.New()}
	storetest.Begin(t, s.store)
	entries, err := sqlite.Open(t.Context(), filepath.Join(s.dir, "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := entries.Close(); err != nil {
			t.Error(err)
		}
	})
	past, err := history.Open(filepath.Join(s.dir, "history"), history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := past.Close(); err != nil {
			t.Error(err)
		}
	})
	s.commands, err = commands.New(s.store, commands.Options{Policy: domain.DefaultPolicy(), Now: time.Now, NewID: uuid.New})
	if err != nil {
		t.Fatal(err)
	}
	s.site = serve(t, doc, func(c *api.Config) {
		c.Commands, c.Leaderboard, c.Ledger, c.Finder, c.Auditor = s.commands, s.board, entries, entries, entries
		c.Evidence = queries.Explainer{Store: s.store, Ledger: entries}
		c.History, c.Reveals, c.Views = past, s.commands, s.commands
		c.Earner, c.Replays = entries, replays{s.store, c.Proxies}
		c.Limits.Adjustments = map[auth.Role]domain.Points{auth.RoleSupport: 1000}
		c.Limits.AdjustmentsOfDay = map[auth.Role]domain.Points{auth.RoleSupport: 0}
		project(t, s.store, projections.Ledger{Writer: entries, Proxies: c.Proxies})
		project(t, s.store, projections.History{Writer: past, Proxies: c.Proxies})
		project(t, s.store, projections.Leaderboard{Writer: s.board, Accounts: entries, Proxies: c.Proxies})
		ever := oneSeason{season.Season{ID: "ever", From: time.Unix(0, 0).UTC(), Until: time.Unix(1<<32, 0).UTC()}, memory.New(), c.Proxies.ForSeason("ever")}
		c.Seasons = ever
		project(t, s.store, projections.Leaderboard{
			Writer: ever.board, Season: ever.of, Accounts: ledger.Season{Ledger: entries, From: ever.of.From, Until: ever.of.Until}, Proxies: ever.proxies,
		})
	})
	return s
}

// project runs a projection until the test ends.
func project(t testing.TB, store *eventstore.Store, p projections.Projection) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := projections.NewRunner(p, store, projections.Options{}).Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
}

// end is the end of the log.
func (s *stack) end() domain.Position {
	s.t.Helper()
	end, err := s.store.End(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return end
}

// exchange is a request and what must come of it.
type exchange struct {
	name string
	// as is who asks; the zero Claims sends no token.
	as     auth.Claims
	method string
	// path starts at the server; with a question mark if need be.
	path   string
	header http.Header
	body   string
	// chunked sends the body without its length.
	chunked bool
	// wordy marks a request whose fault the document states in words only.
	wordy bool
	// status and code are the answer's, code empty for one that is no problem. field is the one at fault.
	status int
	code   string
	field  string
}

// answer is what came of a request.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	problem problem.Problem
}

// do makes the request, checks it and its answer against the document, and the answer against what the exchange expects.
func (s *site) do(t testing.TB, x exchange) answer {
	t.Helper()
	got := s.send(t, x)
	if got.status != x.status || got.problem.Code != x.code {
		t.Fatalf("%s %s: got %d %q, want %d %q\n%s", x.method, x.path, got.status, got.problem.Code, x.status, x.code, got.body)
	}
	if x.field != "" && (len(got.problem.Errors) == 0 || got.problem.Errors[0].Field != x.field || got.problem.Errors[0].Code != x.code) {
		t.Errorf("the fault is %+v, want one of the field %s", got.problem.Errors, x.field)
	}
	return got
}

func (s *site) send(t testing.TB, x exchange) answer {
	t.Helper()
	body := io.Reader(strings.NewReader(x.body))
	if x.chunked {
		body = io.MultiReader(body)
	}
	request, err := http.NewRequestWithContext(t.Context(), x.method, s.url+x.path, body)
	if err != nil {
		t.Fatal(err)
	}
	if x.as.Role != "" {
		request.Header.Set("Authorization", "Bearer "+mint(t, x.as))
	}
	if x.body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if needsKey(x) {
		request.Header.Set("Idempotency-Key", uuid.NewString())
	}
	for name, values := range x.header {
		if request.Header[name] = values; len(values) == 0 {
			delete(request.Header, name)
		}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got := answer{status: response.StatusCode, header: response.Header}
	if got.body, err = io.ReadAll(response.Body); err != nil {
		t.Fatal(err)
	}
	if got.status >= 400 {
		decoder := json.NewDecoder(bytes.NewReader(got.body))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&got.problem); err != nil {
			t.Fatalf("the answer %d is not a problem: %v\n%s", got.status, err, got.body)
		}
	}
	s.doc.check(t, request, x, got)
	return got
}

// needsKey tells whether a request is one for which a client makes up an id. An exchange may name the header itself, and none to send none.
func needsKey(x exchange) bool {
	path, _, _ := strings.Cut(x.path, "?")
	_, adjustment := strings.CutPrefix(path, "/loyalty/")
	return x.method == "POST" && (path == "/reveals" || adjustment && strings.Count(path, "/") == 2)
}

// decode reads an answer's JSON.
func decode[T any](t testing.TB, a answer) T {
	t.Helper()
	var value T
	decoder := json.NewDecoder(bytes.NewReader(a.body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return value
}

func mint(t testing.TB, c auth.Claims) string {
	t.Helper()
	token, err := auth.Mint(tokenSecret, c, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// lockedBuffer takes a log that many goroutines write.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
