package api_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"loyalty/api"
	"loyalty/api/auth"
	"loyalty/domain"
	"loyalty/domain/season"
	"loyalty/readmodels/history"
	"loyalty/readmodels/leaderboard"
)

// access is a line of testdata/access.txt.
type access struct {
	route, how, whose string
	may, names        []string
}

func readAccess(t *testing.T) (all []access) {
	t.Helper()
	text, err := os.ReadFile("testdata/access.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		columns := strings.Split(line, "|")
		if len(columns) != 5 {
			t.Fatalf("%q has %d columns", line, len(columns))
		}
		for i := range columns {
			columns[i] = strings.TrimSpace(columns[i])
		}
		all = append(all, access{columns[0], columns[1], columns[2], strings.Fields(columns[3]), strings.Fields(columns[4])})
	}
	return all
}

// grants tells whether a list of roles, each with the right that it needs, has the caller.
func grants(list []string, caller auth.Claims) bool {
	return slices.ContainsFunc(list, func(each string) bool {
		role, right, needs := strings.Cut(each, "+")
		return role == string(caller.Role) && (!needs || slices.Contains(strings.Fields(caller.Rights), right))
	})
}

// everybody is each role, with each right by itself, with all of them, and with some that only look like them.
func everybody() (all []auth.Claims) {
	for _, role := range []auth.Claims{ann, till, support, analyst} {
		for _, rights := range []string{"", "order", "award", "reveal", "audit", "order award reveal audit", "orders re-veal Audit award,order"} {
			role.Rights = rights
			all = append(all, role)
		}
	}
	return all
}

// peopled is fixed, with somebody on every leaderboard.
type peopled struct{ fixed }

func (p peopled) Dashboard(_ context.Context, key domain.ProxyKey, _, _ int, d *leaderboard.Dashboard) error {
	row := leaderboard.Row{Rank: 1, Key: domain.ProxyKey{1}, Points: 7}
	*d = leaderboard.Dashboard{Ranked: true, You: row, Top: []leaderboard.Row{row}, Around: []leaderboard.Row{row}, Customers: 1}
	return nil
}

func (p peopled) AsOf(ctx context.Context, _ string, _ history.Moment, key domain.ProxyKey, top, around int, d *leaderboard.Dashboard) error {
	return p.Dashboard(ctx, key, top, around, d)
}

func (p peopled) Season(id string) (season.Season, leaderboard.Reader, domain.Proxies, bool) {
	of, _, proxies, known := p.fixed.Season(id)
	return of, p, proxies, known
}

// asked is how each route is asked, about a customer.
func asked(t *testing.T, customer string) map[string]exchange {
	return map[string]exchange{
		"POST /order/:orderId":                                  {path: "/order/o-1", body: orderOf(`1`, customer)},
		"POST /orders":                                          {path: "/orders", body: lineOf("o-1", `1`, customer), header: ndjson, status: 200},
		"POST /order/:orderId/returns/:returnId":                {path: "/order/o-1/returns/r-1", body: `{"amount": 1}`},
		"POST /loyalty/:userId":                                 {path: "/loyalty/" + customer, body: `{"loyalty-points": 1, "reason": "goodwill"}`},
		"POST /loyalty/:userId/adjustments/:loyaltyId/approval": {path: "/loyalty/" + customer + "/adjustments/l-1/approval"},
		"POST /loyalty/:userId/adjustments/:loyaltyId/refusal":  {path: "/loyalty/" + customer + "/adjustments/l-1/refusal", body: `{"reason": "no receipt"}`},
		"POST /reveals":                                         {path: "/reveals", body: revealing(t, customer).body},
		"POST /what-if":                                         whatIf,
		"GET /search":                                           {path: "/search?q=" + customer},
		"GET /loyalty/:userId/entries/:entryId":                 {path: "/loyalty/" + customer + "/entries/" + entryID},
		"GET /loyalty/:userId/changes":                          {path: "/loyalty/" + customer + "/changes?since=2026-10-01"},
	}
}

// exchange is the request of a line, about ann or about somebody else.
func (a access) exchange(t *testing.T) exchange {
	customer := "ann"
	if a.whose == "other" {
		customer = "bob"
	}
	method, path, _ := strings.Cut(a.route, " ")
	x, known := asked(t, customer)[a.route]
	if !known {
		x = exchange{path: strings.Replace(path, ":userId", customer, 1)}
	}
	if x.method = method; x.status == 0 {
		x.status = map[string]int{"GET": 200, "POST": 201}[method]
	}
	switch a.how {
	case "season":
		x.path += "?season=2026"
	case "asOf":
		x.path += "?asOf=2026-10-01"
	case "csv":
		x.header = http.Header{"Accept": {"text/csv"}}
	}
	return x
}

// Given each role, with each right and without
// When it tries each route in each way, for itself and for another
// Then it gets through, and sees names, exactly where a table that was written by hand says so; and without a token nobody gets through.
func TestWhoMayDoWhat(t *testing.T) {
	lines := readAccess(t)
	s := serve(t, loadDocument(t), func(c *api.Config) {
		all := peopled{}
		all.all(c)
		c.Leaderboard, c.Seasons, c.History = all, all, all
		// Live pages end at once, since their readers' tokens seem to have expired.
		c.Now = func() time.Time { return time.Now().Add(time.Hour + 2*auth.ClockLeeway) }
	})
	for _, line := range lines {
		x := line.exchange(t)
		t.Run(fmt.Sprintf("%s %s %s", line.route, line.how, line.whose), func(t *testing.T) {
			nobody := x
			nobody.as, nobody.status, nobody.code = auth.Claims{}, 401, "token_missing"
			s.do(t, nobody)
			for _, caller := range everybody() {
				x := x
				x.as = caller
				allowed := grants(line.may, caller)
				if !allowed {
					x.status, x.code = 403, "forbidden"
				}
				got := s.send(t, x)
				if got.status != x.status || got.problem.Code != x.code {
					t.Errorf("%s with the rights %q: got %d %s, want %d %s", caller.Role, caller.Rights, got.status, got.problem.Code, x.status, x.code)
				}
				if sees := strings.Contains(string(got.body), "proxyName"); sees != (allowed && grants(line.names, caller)) {
					t.Errorf("%s with the rights %q: that they see names is %t", caller.Role, caller.Rights, sees)
				}
			}
		})
	}
}

// open are the routes that need no token: they give out pages, and sign in and out.
var open = []string{"GET /sign-in", "POST /sign-in", "GET /signed-in", "GET /sign-out", "GET /signed-out", "POST /session", "DELETE /session"}

// Given all routes that the server has, and all ways to ask that the document knows
// Then the table of access has each, for oneself and for another, and no other.
func TestTheTableOfAccessIsWhole(t *testing.T) {
	c := config(t, new(lockedBuffer))
	fixed{}.all(&c)
	c.Development = func(auth.Claims, time.Duration) (string, error) { return "", nil }
	server, err := api.New(c)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, route := range server.Routes() {
		method, path, _ := strings.Cut(route, " ")
		item := loadDocument(t).Paths.Find(documented(path))
		if item == nil || item.GetOperation(method) == nil || slices.Contains(open, route) {
			if !slices.Contains(open, route) && !isPage(route) {
				t.Errorf("%s is in no table", route)
			}
			continue
		}
		operation := item.GetOperation(method)
		hows := []string{"-"}
		for _, parameter := range operation.Parameters {
			switch name := parameter.Value.Name; {
			case name == "asOf" && parameter.Value.Required:
				hows = []string{name}
			case name == "asOf" || name == "season":
				hows = append(hows, name)
			}
		}
		if ok := operation.Responses.Status(200); ok != nil && ok.Value.Content.Get("text/csv") != nil && ok.Value.Content["text/csv"] != nil {
			hows = append(hows, "csv")
		}
		for _, how := range hows {
			if strings.Contains(path, ":userId") {
				want = append(want, route+" "+how+" own", route+" "+how+" other")
			} else {
				want = append(want, route+" "+how)
			}
		}
	}
	var got []string
	for _, line := range readAccess(t) {
		name := line.route + " " + line.how
		if strings.Contains(line.route, ":userId") {
			name += " " + line.whose
		}
		got = append(got, name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if want, got := slices.Compact(want), slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("the table has\n%s\nand the server\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// documented is a path as the document writes it: /loyalty/{userId}.
func documented(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if name, is := strings.CutPrefix(part, ":"); is {
			parts[i] = "{" + name + "}"
		}
	}
	return strings.Join(parts, "/")
}

// isPage tells whether a route gives out a page, or a file of one.
func isPage(route string) bool {
	method, path, _ := strings.Cut(route, " ")
	return (method == http.MethodGet || method == http.MethodHead) && (slices.Contains([]string{"/", "/support", "/analysis"}, path) || strings.HasPrefix(path, "/assets/"))
}
