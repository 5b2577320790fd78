package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/ledger"
)

// CompareOptions are options for comparing a read model with the log. The zero value of each field means its default.
type CompareOptions struct {
	// Timeout bounds the wait for a read model that lags behind the log (default 30 s).
	Timeout time.Duration
	// FromNothing has a rebuild replace the live read model without looking at it, whatever log it was folded from and whatever secret its
	// names were made with.
	FromNothing bool
	// MaxDrifts is the most drifts listed in a Finding, which counts all (default 100).
	MaxDrifts int
	// Progress is called with what is being done, how much of it is done and the total, 0 if unknown (default: none).
	Progress func(doing string, done, total uint64)
}

func (a CompareOptions) withDefaults() CompareOptions {
	if a.Timeout <= 0 {
		a.Timeout = 30 * time.Second
	}
	if a.MaxDrifts <= 0 {
		a.MaxDrifts = 100
	}
	if a.Progress == nil {
		a.Progress = func(string, uint64, uint64) {}
	}
	return a
}

// Finding is the result of comparing a read model with the log.
type Finding struct {
	ReadModel string `json:"readModel"`
	// Position is where both were compared. A leaderboard is compared in parts; it is then the position of the last.
	Position domain.Position `json:"position"`
	// Customers is the number of customers compared.
	Customers int64 `json:"customers"`
	// Digest is the digest of the log at Position, and so of the read model if there is no drift.
	Digest Digest `json:"digest"`
	// Drifted counts the customers whose totals or audit records differ. Drifts lists the first of them by id.
	Drifted int64   `json:"drifted"`
	Drifts  []Drift `json:"drifts,omitempty"`
	// EarningsDrifted counts the hours and channels whose earnings differ. EarningDrifts lists the first of them.
	EarningsDrifted int64          `json:"earningsDrifted,omitempty"`
	EarningDrifts   []EarningDrift `json:"earningDrifts,omitempty"`
}

// Differs reports whether anything differs.
func (f Finding) Differs() bool { return f.Drifted > 0 || f.EarningsDrifted > 0 }

// Drift is a customer whose total in a read model, or whose audit records in a ledger, differ from the log.
type Drift struct {
	Customer domain.CustomerID `json:"customerId"`
	// Log and ReadModel are the two sides, nil where the customer is unknown. A leaderboard has times to the minute and no number of
	// entries.
	Log       *DriftTotal `json:"log"`
	ReadModel *DriftTotal `json:"readModel"`
}

// DriftTotal is one side of a Drift.
type DriftTotal struct {
	Points    domain.Points `json:"points"`
	ReachedAt time.Time     `json:"reachedAt"`
	Entries   int64         `json:"entries,omitempty"`
	// Forgotten is true if the customer was forgotten. They must not be on a leaderboard.
	Forgotten bool `json:"forgotten,omitempty"`
	// AuditRecords is the number of the customer's audit records, if those differ and the total does not. If the numbers are equal, the
	// contents differ.
	AuditRecords int64 `json:"acts,omitempty"`
}

func (f *Finding) drift(d Drift) { f.Drifted, f.Drifts = f.Drifted+1, append(f.Drifts, d) }

// addDriftsOfOthers adds drifts of customers who have none yet.
func (f *Finding) addDriftsOfOthers(others []Drift) {
	known := make(map[domain.CustomerID]bool, len(f.Drifts))
	for _, d := range f.Drifts {
		known[d.Customer] = true
	}
	for _, d := range others {
		if !known[d.Customer] {
			f.drift(d)
		}
	}
}

// limit keeps the first drifts by customer, and by hour.
func (f *Finding) limit(listed int) {
	slices.SortFunc(f.Drifts, func(a, b Drift) int { return strings.Compare(string(a.Customer), string(b.Customer)) })
	f.Drifts = f.Drifts[:min(len(f.Drifts), listed)]
	f.EarningDrifts = f.EarningDrifts[:min(len(f.EarningDrifts), listed)]
}

// advance folds the log up to a position, and reports progress.
func (f *Fold) advance(ctx context.Context, until domain.Position, a CompareOptions) error {
	n := 0
	return f.Advance(ctx, until, func(at domain.Position) {
		if n++; n%1000 == 0 {
			a.Progress("folding the log", at.Commit, until.Commit)
		}
	})
}

// toLast folds the log up to the last event of the ledger's types.
func (f *Fold) toLast(ctx context.Context, a CompareOptions) error {
	end, err := f.store.End(ctx, ledgerTypes()...)
	if err != nil {
		return err
	}
	return f.advance(ctx, end, a)
}

// waitFor waits for a read model for at most the timeout.
func waitFor(ctx context.Context, a CompareOptions, position domain.Position, wait func(context.Context, domain.Position) error) error {
	ctx, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	return wait(ctx, position)
}

// advanceToLedger folds the log up to the checkpoint of the ledger when it was read.
func (f *Fold) advanceToLedger(ctx context.Context, at domain.Checkpoint, a CompareOptions) error {
	err := f.store.CheckCheckpoint(ctx, at)
	if err == nil {
		err = f.advance(ctx, at.Position, a)
	}
	if err == nil && at.Position.Before(f.last.ledger) {
		err = fmt.Errorf("the ledger went back to position %s while it was read: %w", at, domain.ErrNotCaughtUp)
	}
	return err
}

// VerifyLedger compares a live ledger with the log: every account, at one position; its audit log if it is a ledger.Auditor, and its earnings by
// the hour if it is a ledger.Earner, at positions shortly before. It advances the fold. If the ledger does not catch up with the log within
// the timeout, it is domain.ErrNotCaughtUp.
func (f *Fold) VerifyLedger(ctx context.Context, l ledger.Reader, a CompareOptions) (Finding, error) {
	a = a.withDefaults()
	found := Finding{ReadModel: "ledger"}
	if err := f.toLast(ctx, a); err != nil {
		return found, err
	}
	if err := waitFor(ctx, a, f.last.ledger, l.Wait); err != nil {
		return found, fmt.Errorf("the ledger is behind position %s: %w", f.last.ledger, err)
	}
	var records []Drift
	if auditor, ok := l.(ledger.Auditor); ok {
		var err error
		if records, err = f.compareAuditLogs(ctx, auditor, a); err != nil {
			return found, err
		}
	}
	if earner, ok := l.(ledger.Earner); ok {
		var err error
		if found.EarningDrifts, err = f.compareEarnings(ctx, earner, a); err != nil {
			return found, err
		}
		found.EarningsDrifted = int64(len(found.EarningDrifts))
	}
	// The position of the accounts is known only after the last of them. So they are compared with the fold's earlier position first; those that
	// differ, or change up to the accounts' position, are compared again there. Those that were read at a later position are compared at that.
	f.pass++
	differ, later, ahead := map[domain.CustomerID]ledger.Account{}, map[domain.CustomerID]ledger.Account{}, ahead{}
	var n uint64
	read, err := l.Accounts(ctx, ledger.InTurn(func(got ledger.Account, at domain.Position) error {
		if n++; n%10_000 == 0 {
			a.Progress("reading the ledger", n, uint64(f.listed))
		}
		want := f.accounts[got.Customer]
		switch {
		case at != (domain.Position{}):
			later[got.Customer], ahead[got.Customer] = got, at
		case want == nil || want.account(got.Customer) != got:
			differ[got.Customer] = got
		}
		if want != nil {
			want.seen = f.pass
		}
		return nil
	}))
	if err != nil {
		return found, err
	}
	before := map[domain.CustomerID]folded{}
	f.changed = func(customer domain.CustomerID, was, _ folded) {
		if _, known := before[customer]; !known {
			before[customer] = was
		}
	}
	err = f.advanceToLedger(ctx, read.Checkpoint, a)
	f.changed = nil
	if err != nil {
		return found, err
	}
	f.compareAccounts(&found, differ, later, before)
	found.Position, found.Customers, found.Digest = f.at.Position, f.listed, f.LedgerDigest()
	if err := f.compareLater(ctx, &found, later, ahead, a); err != nil {
		return found, err
	}
	found.addDriftsOfOthers(records)
	found.limit(a.MaxDrifts)
	return found, nil
}

// compareLater compares accounts that were read at later positions with the fold there.
func (f *Fold) compareLater(ctx context.Context, found *Finding, later map[domain.CustomerID]ledger.Account, ahead ahead, a CompareOptions) error {
	compare := func(customer domain.CustomerID, want *folded) {
		if got := later[customer]; want == nil || want.account(customer) != got {
			found.drift(Drift{customer, want.total(), ledgerTotal(got)})
		}
		delete(later, customer)
	}
	f.changed = func(customer domain.CustomerID, was, _ folded) {
		if at, read := ahead[customer]; read && at.Before(f.at.Position) { // of the event that was just folded
			if _, waits := later[customer]; waits {
				compare(customer, &was)
			}
		}
	}
	err := f.advance(ctx, ahead.last(), a)
	f.changed = nil
	if err != nil {
		return err
	}
	for customer := range later {
		compare(customer, f.accounts[customer])
	}
	return nil
}

// compareAccounts finds the drifts at the fold's position. differ has the accounts that differed from the fold at an earlier position, before
// the folded state at that position of customers who have changed since. later are those to be compared elsewhere.
func (f *Fold) compareAccounts(found *Finding, differ, later map[domain.CustomerID]ledger.Account, before map[domain.CustomerID]folded) {
	for customer, got := range differ {
		if want := f.accounts[customer]; want == nil || want.account(customer) != got {
			found.drift(Drift{customer, want.total(), ledgerTotal(got)})
		}
	}
	for customer, want := range f.accounts {
		if _, compared := differ[customer]; compared || !want.listed() {
			continue
		}
		if _, waits := later[customer]; waits {
			continue
		}
		was, changed := before[customer]
		switch {
		case !changed && want.seen != f.pass, changed && was.seen != f.pass:
			found.drift(Drift{customer, want.total(), nil})
		case changed && was.account(customer) != want.account(customer):
			found.drift(Drift{customer, want.total(), ledgerTotal(was.account(customer))})
		}
	}
}

func (a *folded) total() *DriftTotal {
	if a == nil || !a.listed() {
		return nil
	}
	return &DriftTotal{Points: a.points, ReachedAt: a.reachedAt(), Entries: a.entries, Forgotten: a.forgotten}
}

func ledgerTotal(a ledger.Account) *DriftTotal {
	return &DriftTotal{Points: a.Points, ReachedAt: a.ReachedAt, Entries: a.Entries, Forgotten: a.Forgotten}
}

// ComparableLeaderboard is a leaderboard that can be compared with the log.
type ComparableLeaderboard interface {
	leaderboard.Reader
	leaderboard.StandingsReader
}

// VerifyLeaderboard compares a live leaderboard with the log: every standing, and that the keys of forgotten customers are retired. It reads them
// in parts, each at one position, to which it advances the fold. Customers who are not in the log show as a difference in number. If the
// leaderboard does not catch up with the fold within the timeout, it is domain.ErrNotCaughtUp.
func (f *Fold) VerifyLeaderboard(ctx context.Context, board ComparableLeaderboard, proxies domain.Proxies, a CompareOptions) (Finding, error) {
	a = a.withDefaults()
	if err := f.toLast(ctx, a); err != nil {
		return Finding{ReadModel: "leaderboard"}, err
	}
	return f.compareLeaderboard(ctx, board, proxies, a)
}

func (f *Fold) compareLeaderboard(ctx context.Context, board ComparableLeaderboard, proxies domain.Proxies, a CompareOptions) (Finding, error) {
	found := Finding{ReadModel: "leaderboard"}
	var customers []domain.CustomerID
	for customer, folded := range f.accounts {
		if folded.listed() {
			customers = append(customers, customer)
		}
	}
	f.changed = func(customer domain.CustomerID, was, is folded) {
		if !was.listed() && is.listed() {
			customers = append(customers, customer)
		}
	}
	defer func() { f.changed = nil }()
	var counted int64
	for first := 0; first == 0 || first < len(customers); first += leaderboard.MaxStandings {
		a.Progress("reading the leaderboard", uint64(first), uint64(len(customers)))
		if err := waitFor(ctx, a, f.last.leaderboard, board.Wait); err != nil {
			return found, fmt.Errorf("the leaderboard is behind position %s: %w", f.last.leaderboard, err)
		}
		piece := customers[first:min(first+leaderboard.MaxStandings, len(customers))]
		keys := make([]domain.ProxyKey, len(piece))
		for i, customer := range piece {
			keys[i] = proxies.Key(customer)
		}
		got, err := board.Standings(ctx, keys)
		if err != nil {
			return found, err
		}
		if got.Position.Before(f.last.leaderboard) {
			return found, fmt.Errorf("the leaderboard went back to position %s while it was read: %w", got.Position, domain.ErrNotCaughtUp)
		}
		if err := errors.Join(f.store.CheckCheckpoint(ctx, domain.CheckpointAt(got.Position)), f.advance(ctx, got.Position, a)); err != nil {
			return found, err
		}
		for i, customer := range piece {
			f.compareStanding(&found, customer, proxies, got, i)
		}
		counted = got.Customers
	}
	if counted != f.ranked && found.Drifted == 0 {
		found.Drifted = max(counted-f.ranked, f.ranked-counted)
	}
	found.Position, found.Customers, found.Digest = f.at.Position, f.ranked, f.LeaderboardDigest(proxies)
	found.limit(a.MaxDrifts)
	return found, nil
}

func (f *Fold) compareStanding(found *Finding, customer domain.CustomerID, proxies domain.Proxies, got leaderboard.Standings, i int) {
	folded := f.accounts[customer]
	want := folded.standing(customer, proxies)
	if folded.ranked() == got.Found[i] && got.Standings[i] == want {
		return
	}
	total := func(s leaderboard.Standing) *DriftTotal {
		if s.Retired {
			return &DriftTotal{Forgotten: true}
		}
		return &DriftTotal{Points: s.Points, ReachedAt: time.Unix(s.Minute*60, 0).UTC()}
	}
	d := Drift{Customer: customer, Log: total(want)}
	if got.Found[i] || got.Standings[i].Retired {
		d.ReadModel = total(got.Standings[i])
	}
	found.drift(d)
}
