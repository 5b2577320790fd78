package api_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"loyalty/api"
	"loyalty/domain"
	"loyalty/domain/season"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/ledger"
)

// failedOver is a read model that had reached position 10, and whose server was replaced by one that is behind: the first answers are of
// position 8, and the entry of position 9 is not there.
type failedOver struct {
	fixed
	// behind counts the answers of position 8 that are to come.
	behind *atomic.Int64
}

func (f failedOver) state() ledger.State {
	if f.behind.Add(-1) >= 0 {
		return ledger.State{Position: domain.Position{Commit: 8, Prepare: 8}}
	}
	return ledger.State{Position: domain.Position{Commit: 10, Prepare: 10}}
}

func (f failedOver) Dashboard(_ context.Context, _ domain.ProxyKey, _, _ int, d *leaderboard.Dashboard) error {
	*d = leaderboard.Dashboard{State: leaderboard.State{Position: f.state().Position}}
	return nil
}
func (f failedOver) Season(id string) (season.Season, leaderboard.Reader, domain.Proxies, bool) {
	of, _, proxies, known := f.fixed.Season(id)
	return of, f, proxies, known
}
func (f failedOver) Trail(context.Context, domain.CustomerID, ledger.Filter, string, int) (ledger.Trail, error) {
	return ledger.Trail{State: f.state()}, nil
}
func (f failedOver) Account(context.Context, domain.CustomerID) (ledger.Account, ledger.State, error) {
	return ledger.Account{}, f.state(), nil
}
func (f failedOver) Entry(ctx context.Context, customer domain.CustomerID, id string) (ledger.Entry, error) {
	if f.behind.Load() > 0 {
		return ledger.Entry{}, domain.ErrNotFound
	}
	return f.fixed.Entry(ctx, customer, id)
}
func (f failedOver) Search(context.Context, string) (ledger.Found, error) {
	return ledger.Found{State: f.state()}, nil
}
func (f failedOver) AuditLog(context.Context, ledger.AuditFilter, string, int) (ledger.AuditPage, error) {
	return ledger.AuditPage{State: f.state()}, nil
}
func (f failedOver) Earnings(context.Context, time.Time, time.Time, ledger.Span) (ledger.Earnings, error) {
	return ledger.Earnings{State: f.state()}, nil
}

// Given read models that were at a position, and are now answered for by servers that are behind it
// When somebody asks for what reflects that position
// Then they get no older answer: they wait until there is one, and are told so if that takes too long.
func TestNoAnswerIsOlderThanAskedForAfterAFailover(t *testing.T) {
	doc := loadDocument(t)
	for what, x := range map[string]exchange{
		"the dashboard":             {as: ann, path: "/loyalty/ann"},
		"the dashboard of a season": {as: ann, path: "/loyalty/ann?season=2026"},
		"the trail":                 {as: ann, path: "/loyalty/ann/trail"},
		"the trail in CSV":          {as: ann, path: "/loyalty/ann/trail", header: http.Header{"Accept": {"text/csv"}}},
		"an explanation":            {as: support, path: "/loyalty/ann/entries/" + entryID},
		"a search":                  {as: support, path: "/search?q=ann"},
		"a search for a proxy name": {as: support, path: "/search?q=" + strings.ReplaceAll(nameOf(t, "ann"), " ", "+")},
		"the approvals":             {as: support, path: "/approvals"},
		"the audit log":             {as: auditor, path: "/acts"},
		"earnings":                  {as: analyst, path: "/earnings"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			behind := new(atomic.Int64)
			s := serve(t, doc, func(c *api.Config) {
				f := failedOver{behind: behind}
				f.fixed.all(c)
				c.Leaderboard, c.Seasons, c.Ledger, c.Finder, c.Auditor, c.Earner = f, f, f, f, f, f
			})
			x.method, x.header = http.MethodGet, x.header.Clone()
			if x.header == nil {
				x.header = http.Header{}
			}
			x.header.Set("Loyalty-Min-Position", "10")

			behind.Store(3)
			x.status = http.StatusOK
			if got := s.do(t, x); strings.Contains(string(got.body), `"position":"8"`) || behind.Load() > 0 {
				t.Errorf("it is answered before the read model is there: %s", got.body)
			}
			behind.Store(1 << 40)
			x.status, x.code = http.StatusServiceUnavailable, "not_caught_up"
			s.do(t, x)
			if asked := 1<<40 - behind.Load(); asked > 20 {
				t.Errorf("the read model was asked %d times within 2 s", asked)
			}
		})
	}
}
