package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"loyalty/analytics/replay"
	"loyalty/api"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/season"
	"loyalty/queries"
	"loyalty/readmodels/history"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/ledger"
)

// fixed stands for all that is behind the API: it fails with its error at all that is asked of it, or answers with fixed
// values where it has none. It is for showing what each error becomes over HTTP, and who gets through to what.
type fixed struct{ err error }

// all makes it everything that a server works on.
func (f fixed) all(c *api.Config) {
	c.Commands, c.Leaderboard, c.Seasons, c.Ledger, c.Finder, c.Auditor, c.Evidence, c.Reveals, c.Views, c.History = f, f, f, f, f, f, f, f, f, f
	c.Earner, c.Replays = f, f
}

var errPanic = errors.New("panic, please")

func (f fixed) fail() error {
	if errors.Is(f.err, errPanic) {
		panic("the secret is 12345")
	}
	return f.err
}

func (f fixed) PlaceOrder(_ context.Context, c commands.PlaceOrder) (commands.Placed, error) {
	return commands.Placed{Order: c.Order}, f.fail()
}
func (f fixed) ReturnItems(_ context.Context, c commands.ReturnItems) (commands.Returned, error) {
	return commands.Returned{Return: c.Return}, f.fail()
}
func (f fixed) AdjustPoints(context.Context, commands.AdjustPoints) (commands.Adjusted, error) {
	return commands.Adjusted{ID: "l-1", Status: commands.AdjustmentMade}, f.fail()
}
func (f fixed) ApproveAdjustment(context.Context, commands.ApproveAdjustment) (commands.Adjusted, error) {
	return commands.Adjusted{ID: "l-1", Status: commands.AdjustmentMade}, f.fail()
}
func (f fixed) DeclineAdjustment(context.Context, commands.DeclineAdjustment) (commands.Adjusted, error) {
	return commands.Adjusted{ID: "l-1", Status: commands.AdjustmentDeclined}, f.fail()
}
func (f fixed) RevealProxyName(_ context.Context, c commands.RevealProxyName) (commands.Revealed, error) {
	return commands.Revealed{Customers: c.Customers, Position: domain.Position{Commit: 1, Prepare: 1}}, f.fail()
}
func (f fixed) ViewCustomer(context.Context, commands.ViewCustomer) error { return f.fail() }
func (f fixed) Season(id string) (season.Season, leaderboard.Reader, domain.Proxies, bool) {
	proxies, err := domain.NewProxies([]byte("another secret of these tests"))
	return season.Season{ID: id, From: time.Unix(0, 0), Until: time.Unix(1, 0)}, f, proxies, err == nil
}
func (f fixed) Seasons() []season.Season {
	if f.err != nil {
		panic(f.err)
	}
	return nil
}
func (f fixed) Dashboard(context.Context, domain.ProxyKey, int, int, *leaderboard.Dashboard) error {
	return f.fail()
}
func (f fixed) Standing(context.Context, domain.ProxyKey) (leaderboard.Standing, bool, domain.Position, error) {
	return leaderboard.Standing{}, false, domain.Position{}, f.fail()
}
func (f fixed) Account(context.Context, domain.CustomerID) (ledger.Account, ledger.State, error) {
	return ledger.Account{}, ledger.State{}, f.fail()
}
func (f fixed) Trail(context.Context, domain.CustomerID, ledger.Filter, string, int) (ledger.Trail, error) {
	return ledger.Trail{}, f.fail()
}
func (f fixed) Accounts(context.Context, func(ledger.Piece) error) (ledger.Snapshot, error) {
	return ledger.Snapshot{}, f.fail()
}
func (f fixed) Entry(context.Context, domain.CustomerID, string) (ledger.Entry, error) {
	return ledger.Entry{EventID: entryID, Kind: ledger.Award}, f.fail()
}
func (f fixed) Search(context.Context, string) (ledger.Found, error) {
	return ledger.Found{}, f.fail()
}
func (f fixed) Bucket(context.Context, ledger.Bucket) ([]domain.CustomerID, error) {
	return []domain.CustomerID{"ann"}, f.fail()
}
func (f fixed) AuditLog(context.Context, ledger.AuditFilter, string, int) (ledger.AuditPage, error) {
	return ledger.AuditPage{}, f.fail()
}
func (f fixed) Explain(_ context.Context, e ledger.Entry) (queries.Explanation, error) {
	return queries.Explanation{Entry: e}, f.fail()
}
func (f fixed) AsOf(context.Context, string, history.Moment, domain.ProxyKey, int, int, *leaderboard.Dashboard) error {
	return f.fail()
}
func (f fixed) Begins(context.Context) (time.Time, error) { return time.Unix(0, 0).UTC(), f.fail() }
func (f fixed) Changes(context.Context, string, history.Moment, domain.ProxyKey) (history.Changes, error) {
	return history.Changes{}, f.fail()
}
func (f fixed) Earnings(context.Context, time.Time, time.Time, ledger.Span) (ledger.Earnings, error) {
	return ledger.Earnings{}, f.fail()
}
func (f fixed) Hours(context.Context, func(ledger.Earning) error) (ledger.State, error) {
	return ledger.State{}, f.fail()
}
func (f fixed) Replay(context.Context, replay.Options, int) (replay.Report, error) {
	return replay.Report{Top: []replay.Place{}, Policy: &replay.WhatIf{Top: []replay.Place{}}}, f.fail()
}
func (f fixed) Wait(context.Context, domain.Position) error { return f.fail() }

// runFailing goes through the errors that a route can meet inside, and what its caller is told of each.
func runFailing(t *testing.T, doc *document) {
	writes := []exchange{
		{method: "POST", path: "/order/o-1", as: till, body: orderOf(`1`, "ann")},
		{method: "POST", path: "/order/o-1/returns/r-1", as: till, body: `{"amount": "1.00"}`},
		{method: "POST", path: "/loyalty/ann", as: support, body: `{"loyalty-points": 1, "reason": "goodwill"}`},
	}
	decisions := []exchange{
		{method: "POST", path: "/loyalty/ann/adjustments/l-1/approval", as: support},
		{method: "POST", path: "/loyalty/ann/adjustments/l-1/refusal", as: support, body: `{"reason": "no receipt"}`},
	}
	reveal := revealing(t, "ann")
	changes := append(append(slices.Clone(writes), decisions...), reveal, whatIf)
	reads := []exchange{
		{method: "GET", path: "/loyalty/ann", as: ann},
		{method: "GET", path: "/loyalty/ann/trail", as: ann},
		{method: "GET", path: "/loyalty/ann?season=2026", as: ann},
		{method: "GET", path: "/loyalty/ann", as: ann, header: after(domain.Position{Commit: 1, Prepare: 1})},
		{method: "GET", path: "/loyalty/ann/trail", as: ann, header: after(domain.Position{Commit: 1, Prepare: 1})},
	}
	for _, x := range lookingUp() {
		waiting := x
		waiting.header = after(domain.Position{Commit: 1, Prepare: 1})
		reads = append(reads, x, waiting)
	}
	for _, failure := range []struct {
		err    error
		routes []exchange
		status int
		code   string
	}{
		{domain.ErrConflict, writes, 409, "conflict"},
		{&domain.PointsLimitError{Kind: domain.ErrOrderPoints, Limit: 10_000}, []exchange{writes[0], whatIf}, 422, "order_points_limit"},
		{&domain.PointsLimitError{Kind: domain.ErrAdjustmentPoints, Limit: 10_000}, changes[2:3], 422, "adjustment_points_limit"},
		{domain.ErrNotFound, append(slices.Clone(decisions), writes[1]), 404, "not_found"},
		{domain.ErrDecided, decisions, 409, "already_decided"},
		{domain.ErrOwnRequest, decisions[:1], 403, "own_request"},
		{domain.ErrForgotten, changes[2:4], 410, "customer_forgotten"},
		{domain.Invalid("asOf", "moment_too_late", "later than all that is known"), lookingBack(), 400, "moment_too_late"},
		{domain.Invalid("until", "until_in_append", "in the middle"), []exchange{whatIf}, 400, "until_in_append"},
		{domain.ErrReturnExceedsPaid, writes[1:2], 422, "return_exceeds_paid"},
		{domain.Invalid("currency", "currency_not_in_policy", "not priced"), writes[:1], 400, "currency_not_in_policy"},
		{domain.ErrUnavailable, append(changes, reads...), 503, "unavailable"},
		{fmt.Errorf("%w: %w", domain.ErrUnavailable, domain.ErrNotCaughtUp), changes, 503, "unavailable"},
		{domain.ErrNotCaughtUp, reads, 503, "not_caught_up"},
		{context.DeadlineExceeded, append(changes, reads...), 503, "unavailable"},
		{context.Canceled, append(changes, reads...), 503, "unavailable"},
		{domain.ErrWrongRevision, changes, 500, "internal"},
		{domain.ErrCheckpointMoved, reads, 500, "internal"},
		{domain.ErrUndecodable, append(changes, reads...), 500, "internal"},
		{errors.New("the secret is 12345"), append(changes, reads...), 500, "internal"},
		{errPanic, append(append(changes, reads...), exchange{method: "GET", path: "/seasons", as: ann}), 500, "internal"},
	} {
		t.Run(failure.err.Error(), func(t *testing.T) {
			inside := fixed{fmt.Errorf("deep inside: %w", failure.err)}
			s := serve(t, doc, inside.all)
			for _, x := range failure.routes {
				x.status, x.code = failure.status, failure.code
				s.answersFailure(t, x)
			}
		})
	}
}

// answersFailure makes a request that fails inside: its answer says nothing of the cause, and the log does, by its id.
func (s *site) answersFailure(t *testing.T, x exchange) {
	t.Helper()
	x.header = x.header.Clone()
	if x.header == nil {
		x.header = http.Header{}
	}
	id := "request-" + strings.Map(func(r rune) rune {
		if strings.ContainsRune("/?=", r) {
			return '-'
		}
		return r
	}, strings.Trim(x.path, "/"))
	x.header.Set("X-Request-Id", id)
	got := s.do(t, x)
	if body := string(got.body); strings.Contains(body, "deep inside") || strings.Contains(body, "12345") {
		t.Errorf("the answer tells of the inside: %s", body)
	}
	if got.problem.ID != id || got.header.Get("X-Request-Id") != id {
		t.Errorf("the answer's id is %q, want %q", got.problem.ID, id)
	}
	if x.status == 500 && (got.problem.Detail != "" || len(got.problem.Errors) > 0) {
		t.Errorf("a 500 says more than its id: %s", got.body)
	}
	logged := strings.Contains(s.log.String(), `"id":"`+id+`","error":"`)
	if logged != (x.status >= 500) {
		t.Errorf("the cause of a %d is logged: %t", x.status, logged)
	}
}
