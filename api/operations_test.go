package api_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"loyalty/api"
	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// runOperations asks what operators ask, on the admin address.
func runOperations(t *testing.T, doc *document) {
	var unready, orderless error
	s := serve(t, doc, func(c *api.Config) {
		c.Commands = fixed{}
		c.Ready = ready(func(context.Context) error { return unready })
		c.Ready["command"] = func(context.Context) error { return orderless }
	})
	admin := *s
	admin.url = s.admin

	t.Run("the process lives", func(t *testing.T) {
		admin.do(t, exchange{method: "GET", path: "/healthz", status: 200})
		admin.do(t, exchange{method: "GET", path: "/status.json", status: 200})
	})
	t.Run("it is ready, or says why not", func(t *testing.T) {
		admin.do(t, exchange{method: "GET", path: "/readyz", status: 200})
		unready = errors.New("the leaderboard is loading")
		got := admin.do(t, exchange{method: "GET", path: "/readyz", status: 503, code: "not_ready"})
		if got.problem.Detail != "query: the leaderboard is loading" {
			t.Errorf("the detail is %q", got.problem.Detail)
		}
	})
	t.Run("each of its roles is ready or not", func(t *testing.T) {
		admin.do(t, exchange{method: "GET", path: "/readyz?role=query", status: 503, code: "not_ready"})
		admin.do(t, exchange{method: "GET", path: "/readyz?role=command", status: 200})
		unready, orderless = nil, errors.New("the event store is away")
		admin.do(t, exchange{method: "GET", path: "/readyz?role=query", status: 200})
		admin.do(t, exchange{method: "GET", path: "/readyz?role=command", status: 503, code: "not_ready"})
		admin.do(t, exchange{method: "GET", path: "/readyz", status: 503, code: "not_ready"})
		got := admin.do(t, exchange{method: "GET", path: "/readyz?role=project", status: 404, code: "role_absent"})
		if want := "this process does not have the role project; it has: command, query"; got.problem.Detail != want {
			t.Errorf("the detail is %q, want %q", got.problem.Detail, want)
		}
		admin.do(t, exchange{method: "GET", path: "/readyz?role=barista", status: 400, code: "role_unknown", field: "role"})
	})
	t.Run("requests are measured by route, not by path", func(t *testing.T) {
		s.do(t, exchange{as: till, method: "POST", path: "/order/o-77", body: orderOf(`1`, "ann"), status: 201})
		s.do(t, exchange{as: till, method: "MAKEUP", path: "/order/o-77", status: 405, code: "method_not_allowed"})
		s.do(t, exchange{as: till, method: "GET", path: "/made/up", status: 404, code: "route_not_found"})
		got := string(admin.do(t, exchange{method: "GET", path: "/metrics", status: 200}).body)
		for _, line := range []string{
			`loyalty_http_request_duration_seconds_count{method="POST",route="/order/:orderId",status="201"} 1`,
			`loyalty_http_request_duration_seconds_count{method="other",route="/order/:orderId",status="405"} 1`,
			`loyalty_http_request_duration_seconds_count{method="GET",route="none",status="404"} 1`,
			`loyalty_http_requests_in_flight 0`,
		} {
			if !strings.Contains(got, line+"\n") {
				t.Errorf("the metrics lack %s", line)
			}
		}
		for _, word := range []string{"o-77", "MAKEUP", "made"} {
			if strings.Contains(got, word) {
				t.Errorf("the metrics hold %q", word)
			}
		}
	})
	t.Run("none of this is on the public address, nor the public routes on this one", func(t *testing.T) {
		for _, address := range []string{s.url + "/healthz", s.url + "/metrics", s.admin + "/loyalty/ann"} {
			response, err := http.Get(address)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != http.StatusNotFound {
				t.Errorf("%s is answered with %d", address, response.StatusCode)
			}
		}
	})
}

func TestAProcessHasTheRoutesOfItsRoles(t *testing.T) {
	commands := []exchange{
		{as: till, method: "POST", path: "/order/o-1", body: orderOf(`1`, "ann"), status: 201},
		{as: till, method: "POST", path: "/order/o-1/returns/r-1", body: `{"amount": 1}`, status: 201},
		{as: support, method: "POST", path: "/loyalty/ann", body: `{"loyalty-points": 1, "reason": "goodwill"}`, status: 201},
		{as: till, method: "POST", path: "/orders", body: lineOf("o-1", `1`, "ann"), header: ndjson, status: 200},
	}
	dashboard := []exchange{{as: ann, method: "GET", path: "/loyalty/ann", status: 200}, {method: "GET", path: "/seasons", as: ann, status: 200}}
	trail := []exchange{{as: ann, method: "GET", path: "/loyalty/ann/trail", status: 200}}
	more := lookingUp()
	explain, search, audit, earnings, changes, past, leaderboard := more[0:1], more[1:2], more[2:4], more[4:5], more[5:6], more[6:7], more[7:8]
	whatIfs := []exchange{whatIf}
	reveal := []exchange{revealing(t, "ann")}
	notKept := slices.Clone(past)
	notKept[0].status, notKept[0].code = 404, "history_not_kept"
	all := [][]exchange{commands, dashboard, trail, explain, search, audit, changes, reveal, earnings, leaderboard, whatIfs}
	for _, role := range []struct {
		name    string
		change  func(*api.Config)
		there   [][]exchange
		missing [][]exchange
	}{
		{"commands", func(c *api.Config) { c.Commands = fixed{} }, all[:1], all[1:]},
		{"leaderboard", func(c *api.Config) { c.Leaderboard = fixed{} }, [][]exchange{dashboard, notKept}, append(all[2:len(all):len(all)], commands)},
		{"leaderboard and history", func(c *api.Config) { c.Leaderboard, c.History = fixed{}, fixed{} },
			[][]exchange{dashboard, past, changes, leaderboard}, [][]exchange{commands, trail, explain, search, audit, reveal, earnings, whatIfs}},
		{"ledger", func(c *api.Config) { c.Ledger = fixed{} }, all[2:3], append(all[3:len(all):len(all)], commands, dashboard)},
		{"ledger that can be searched", func(c *api.Config) { c.Ledger, c.Finder = fixed{}, fixed{} },
			[][]exchange{trail, search}, [][]exchange{commands, dashboard, explain, audit, changes, reveal}},
		{"evidence", func(c *api.Config) { c.Ledger, c.Finder, c.Evidence = fixed{}, fixed{}, fixed{} },
			[][]exchange{trail, search, explain}, [][]exchange{commands, dashboard, audit, changes, reveal}},
		{"audit", func(c *api.Config) { c.Ledger, c.Auditor = fixed{}, fixed{} },
			[][]exchange{trail, audit}, [][]exchange{commands, dashboard, explain, search, changes, reveal}},
		{"earnings", func(c *api.Config) { c.Ledger, c.Earner = fixed{}, fixed{} },
			[][]exchange{trail, earnings}, [][]exchange{commands, dashboard, audit, changes, leaderboard, whatIfs}},
		{"what-ifs", func(c *api.Config) { c.Replays = fixed{} }, [][]exchange{whatIfs}, all[:len(all)-1]},
		{"reveals and search", func(c *api.Config) { c.Reveals, c.Ledger, c.Finder = fixed{}, fixed{}, fixed{} },
			[][]exchange{trail, search, reveal}, [][]exchange{commands, dashboard, explain, audit, changes}},
		{"all", fixed{}.all, append(all[:len(all):len(all)], past), nil},
		{"none", func(*api.Config) {}, nil, all},
	} {
		t.Run(role.name, func(t *testing.T) {
			s := serve(t, loadDocument(t), role.change)
			for _, x := range slices.Concat(role.there...) {
				s.do(t, x)
			}
			for _, x := range slices.Concat(role.missing...) {
				if got := s.send(t, x); got.problem.Code != "route_not_found" && got.problem.Code != "method_not_allowed" {
					t.Errorf("%s %s is answered with %d", x.method, x.path, got.status)
				}
			}
		})
	}
}

func TestAnIncompleteConfigurationIsAnError(t *testing.T) {
	for name, spoil := range map[string]func(*api.Config){
		"no verifier":                      func(c *api.Config) { c.Verifier = nil },
		"no log":                           func(c *api.Config) { c.Log = nil },
		"no clock":                         func(c *api.Config) { c.Now = nil },
		"no ids":                           func(c *api.Config) { c.NewRequestID = nil },
		"no readiness":                     func(c *api.Config) { c.Ready = nil },
		"no metrics":                       func(c *api.Config) { c.Metrics = nil },
		"a leaderboard without proxy keys": func(c *api.Config) { c.Leaderboard, c.Proxies = fixed{}, api.Config{}.Proxies },
		"a search without proxy keys":      func(c *api.Config) { c.Ledger, c.Finder, c.Proxies = fixed{}, fixed{}, api.Config{}.Proxies },
		"a history without proxy keys":     func(c *api.Config) { c.History, c.Proxies = fixed{}, api.Config{}.Proxies },
		"a search without a ledger":        func(c *api.Config) { c.Finder = fixed{} },
		"an audit without a ledger":        func(c *api.Config) { c.Auditor = fixed{} },
		"earnings without a ledger":        func(c *api.Config) { c.Earner = fixed{} },
		"metrics that are taken": func(c *api.Config) {
			if _, err := api.New(*c); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := config(t, io.Discard)
			spoil(&c)
			if _, err := api.New(c); err == nil {
				t.Error("it was accepted")
			}
		})
	}
}

// timedLedger notes how long a read is given.
type timedLedger struct {
	fixed
	given *time.Duration
}

func (l timedLedger) Trail(ctx context.Context, _ domain.CustomerID, _ ledger.Filter, _ string, _ int) (ledger.Trail, error) {
	if deadline, bounded := ctx.Deadline(); bounded {
		*l.given = time.Until(deadline)
	}
	return ledger.Trail{}, nil
}

func TestWorkOnARequestIsBounded(t *testing.T) {
	var given time.Duration
	s := serve(t, loadDocument(t), func(c *api.Config) { c.Ledger = timedLedger{given: &given} })
	s.do(t, exchange{as: ann, method: "GET", path: "/loyalty/ann/trail", status: 200})
	if given <= 0 || given > 10*time.Second {
		t.Errorf("a request is given %s", given)
	}
}

func TestAnUnknownMethodIsToldWhichThereAre(t *testing.T) {
	s := serve(t, loadDocument(t), fixed{}.all)
	for path, want := range map[string][]string{"/loyalty/ann": {"GET", "POST"}, "/loyalty/ann/trail": {"GET"}, "/order/o-1": {"POST"}} {
		got := s.do(t, exchange{as: ann, method: "DELETE", path: path, status: 405, code: "method_not_allowed"}).header.Get("Allow")
		for _, method := range want {
			if !strings.Contains(got, method) {
				t.Errorf("%s allows %q, want %v", path, got, want)
			}
		}
	}
}

func TestEveryAnswerCarriesTheRequestsIdAndIsNotForCaches(t *testing.T) {
	s := serve(t, loadDocument(t), func(c *api.Config) { c.Commands = fixed{} })
	given := func(id string) answer {
		return s.do(t, exchange{method: "GET", path: "/nowhere", header: http.Header{"X-Request-Id": {id}}, status: 404, code: "route_not_found"})
	}
	if got := given("till-7_0001"); got.header.Get("X-Request-Id") != "till-7_0001" || got.problem.ID != "till-7_0001" {
		t.Errorf("the caller's id became %q", got.problem.ID)
	}
	one, two := given("not an id!"), given("")
	if one.problem.ID == two.problem.ID || len(one.problem.ID) < 16 {
		t.Errorf("the ids made up are %q and %q", one.problem.ID, two.problem.ID)
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Content-Type": "application/problem+json",
	} {
		if got := one.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
