package queries_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/account"
	"loyalty/projections"
	"loyalty/queries"
	"loyalty/readmodels/history"
	"loyalty/readmodels/leaderboard/memory"
	"loyalty/readmodels/ledger"
)

// follow folds the log into a read model until it reflects a position.
func (s shop) follow(p projections.Projection, wait func(context.Context, domain.Position) error, at domain.Position) {
	s.t.Helper()
	ctx, stop := context.WithCancel(bounded(s.t))
	ended := make(chan error, 1)
	go func() { ended <- projections.NewRunner(p, s.store, projections.Options{}).Run(ctx) }()
	err := wait(ctx, at)
	stop()
	if ran := <-ended; err != nil || (ran != nil && !errors.Is(ran, context.Canceled)) {
		s.t.Fatal(err, ran)
	}
}

func (s shop) forget(customer domain.CustomerID) domain.Position {
	s.t.Helper()
	return must[domain.Position](s.t)(s.do.ForgetCustomer(bounded(s.t), commands.ForgetCustomer{Caller: agent, Customer: customer, Reason: "asked for it"}))
}

// wantCheck compares a check with the read model's name, whether it is clean, and what it says.
func wantCheck(t *testing.T, got queries.ErasureCheck, err error, at domain.Position, model string, clean bool, found ...string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if got.Check != (account.Check{Model: model, Position: at, Clean: clean}) || !slices.Equal(got.Found, found) {
		t.Errorf("at %s the check is %+v, want a clean %s: %v, and %q", at, got, model, clean, found)
	}
}

func TestTheLedgerIsCleanOnceItKnowsThatACustomerIsForgottenAndTheirTotalAddsUp(t *testing.T) {
	s := open(t)
	// Given a customer with an order of which a part went back
	s.place("o-1", 12999)
	at := s.giveBack("o-1", "r-1", 4000)
	s.trail(at, "alice")
	check, err := queries.CheckLedger(bounded(t), s.ledger, s.proxies, "alice")
	wantCheck(t, check, err, at, "ledger", false, "it does not know that they are forgotten", "the proxy name leads to them", "9 points are the sum of 2 entries")

	// When they are forgotten, then it is clean
	at = s.forget("alice")
	s.trail(at, "alice")
	check, err = queries.CheckLedger(bounded(t), s.ledger, s.proxies, "alice")
	wantCheck(t, check, err, at, "ledger", true, "it knows that they are forgotten", "the proxy name does not lead to them", "9 points are the sum of 2 entries")

	// And a total that does not add up is not
	check, err = queries.CheckLedger(bounded(t), other{s.ledger, 1}, s.proxies, "alice")
	wantCheck(t, check, err, at, "ledger", false, "it knows that they are forgotten", "the proxy name does not lead to them", "10 points are not the sum of 2 entries, which is 9")
}

// other is a ledger that has so many points more of everybody than there are.
type other struct {
	queries.Ledger
	points domain.Points
}

func (l other) Trail(ctx context.Context, customer domain.CustomerID, f ledger.Filter, cursor string, limit int) (ledger.Trail, error) {
	page, err := l.Ledger.Trail(ctx, customer, f, cursor, limit)
	page.Account.Points += l.points
	return page, err
}

func TestALeaderboardIsCleanOnceTheKeyIsRetired(t *testing.T) {
	s := open(t)
	at := s.place("o-1", 12999)
	s.trail(at, "alice")
	board := memory.New()
	p := projections.Leaderboard{Writer: board, Accounts: s.ledger, Log: s.store, Proxies: s.proxies}
	s.follow(p, board.Wait, at)
	check, err := queries.CheckLeaderboard(bounded(t), "leaderboard-2026", board, s.proxies.Key("alice"))
	wantCheck(t, check, err, at, "leaderboard-2026", false, "they are ranked, by 13 points", "their key is not retired: they could come back")

	at = s.forget("alice")
	s.follow(p, board.Wait, at)
	check, err = queries.CheckLeaderboard(bounded(t), "leaderboard-2026", board, s.proxies.Key("alice"))
	wantCheck(t, check, err, at, "leaderboard-2026", true, "they have no rank", "their key is retired")

	if _, err := queries.CheckLeaderboard(bounded(t), "leaderboard", memory.New(), s.proxies.Key("alice")); !errors.Is(err, domain.ErrNotCaughtUp) {
		t.Errorf("of a leaderboard that has nothing yet: got %v", err)
	}
}

func TestTheHistoryIsCleanOnceItNamesTheCustomerNoMore(t *testing.T) {
	s := open(t)
	past, err := history.Open(t.TempDir(), history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := projections.History{Writer: past, Proxies: s.proxies}
	at := s.place("o-1", 12999)
	s.follow(p, past.Wait, at)
	check, err := queries.CheckHistory(bounded(t), past, s.proxies.Key("alice"))
	wantCheck(t, check, err, at, "history", false, "dashboards of the past name them")

	at = s.forget("alice")
	s.follow(p, past.Wait, at)
	check, err = queries.CheckHistory(bounded(t), past, s.proxies.Key("alice"))
	wantCheck(t, check, err, at, "history", true, "dashboards of the past don't name them")

	if err := past.Close(); err != nil {
		t.Fatal(err)
	}
	if check, err := queries.CheckHistory(bounded(t), past, s.proxies.Key("alice")); err == nil {
		t.Errorf("closed, it is checked as %+v", check)
	}
}

func TestACustomerIsKnownByTheirEntriesOrByWhatWasDoneAboutThem(t *testing.T) {
	s := open(t)
	find := func(id domain.CustomerID) queries.Customer {
		t.Helper()
		return must[queries.Customer](t)(queries.FindCustomer(bounded(t), s.store, s.ledger, id))
	}
	at := s.place("o-1", 12999)
	s.trail(at, "alice")
	if got := find("alice"); !got.Known || got.Forgotten || got.Account.Points != 13 || got.Account.Entries != 1 || got.Position != at {
		t.Errorf("alice is %+v", got)
	}
	if got := find("nobody"); got.Known || got.Forgotten {
		t.Errorf("nobody is %+v", got)
	}
	s.forget("bob")
	if got := find("bob"); !got.Known || !got.Forgotten || got.Account.Entries != 0 {
		t.Errorf("bob, of whom there is only that he was forgotten, is %+v", got)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := queries.FindCustomer(ended, s.store, s.ledger, "alice"); err == nil {
		t.Error("a question that was given up has an answer")
	}
}
