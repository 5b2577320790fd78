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

// Audit tunes a comparison of a read model with the log. The zero value of each field means its default.
type Audit struct {
	// Patience is how long a read model that lags behind the log is waited for (default 30 s).
	Patience time.Duration
	// Listed is the most drifts kept in a Finding, of all that are counted (default 100).
	Listed int
	// Progress hears the position folded and the one to come to, and what is being done (default: nobody).
	Progress func(doing string, done, total uint64)
}

func (a Audit) withDefaults() Audit {
	if a.Patience <= 0 {
		a.Patience = 30 * time.Second
	}
	if a.Listed <= 0 {
		a.Listed = 100
	}
	if a.Progress == nil {
		a.Progress = func(string, uint64, uint64) {}
	}
	return a
}

// Finding says how a read model compares with the log.
type Finding struct {
	ReadModel string `json:"readModel"`
	// Position is what both were compared at. A leaderboard is compared piece by piece; it is then that of the last.
	Position domain.Position `json:"position"`
	// Customers counts those compared.
	Customers int64 `json:"customers"`
	// Digest is that of the log's state at Position, and of the read model's if there is no drift.
	Digest Digest `json:"digest"`
	// Drifted counts the customers whose totals differ, or what support did about them, and Drifts lists the first of them by id.
	Drifted int64   `json:"drifted"`
	Drifts  []Drift `json:"drifts,omitempty"`
	// EarningsDrifted counts the hours and channels of which a ledger has other earnings, and EarningDrifts lists the first of them.
	EarningsDrifted int64          `json:"earningsDrifted,omitempty"`
	EarningDrifts   []EarningDrift `json:"earningDrifts,omitempty"`
}

// Differs tells whether anything does.
func (f Finding) Differs() bool { return f.Drifted > 0 || f.EarningsDrifted > 0 }

// Drift is a customer whose total in a read model, or whose audit records in a ledger, are not what the log says.
type Drift struct {
	Customer domain.CustomerID `json:"customerId"`
	// Log and ReadModel are what each says, nil where it knows nothing of the customer. A leaderboard keeps times to the
	// minute and counts no entries.
	Log       *DriftTotal `json:"log"`
	ReadModel *DriftTotal `json:"readModel"`
}

// DriftTotal is one side of a Drift.
type DriftTotal struct {
	Points    domain.Points `json:"points"`
	ReachedAt time.Time     `json:"reachedAt"`
	Entries   int64         `json:"entries,omitempty"`
	// Forgotten tells that the customer was forgotten: a leaderboard must keep them out.
	Forgotten bool `json:"forgotten,omitempty"`
	// AuditRecords counts what support did about the customer, where that differs and the total does not. The same number on both
	// sides says that they are others.
	AuditRecords int64 `json:"acts,omitempty"`
}

func (f *Finding) drift(d Drift) { f.Drifted, f.Drifts = f.Drifted+1, append(f.Drifts, d) }

// driftBeside adds the drifts of customers of whom there is none.
func (f *Finding) driftBeside(others []Drift) {
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

// advance folds the log up to a position, and says how far it is.
func (f *Fold) advance(ctx context.Context, until domain.Position, a Audit) error {
	n := 0
	return f.Advance(ctx, until, func(at domain.Position) {
		if n++; n%1000 == 0 {
			a.Progress("folding the log", at.Commit, until.Commit)
		}
	})
}

// toLast folds the log up to the last event that counts.
func (f *Fold) toLast(ctx context.Context, a Audit) error {
	end, err := f.store.End(ctx, ledgerTypes()...)
	if err != nil {
		return err
	}
	return f.advance(ctx, end, a)
}

// patiently waits for a read model as long as an audit allows.
func patiently(ctx context.Context, a Audit, position domain.Position, wait func(context.Context, domain.Position) error) error {
	ctx, cancel := context.WithTimeout(ctx, a.Patience)
	defer cancel()
	return wait(ctx, position)
}

// meet folds the log up to where the ledger stood when it was read.
func (f *Fold) meet(ctx context.Context, at domain.Position, a Audit) error {
	err := beyond(ctx, f.store, at)
	if err == nil {
		err = f.advance(ctx, at, a)
	}
	if err == nil && at.Before(f.last.ledger) {
		err = fmt.Errorf("the ledger went back to position %s while it was read: %w", at, domain.ErrNotCaughtUp)
	}
	return err
}

// VerifyLedger compares every account of a ledger with what the log says, at one position, while the ledger goes on, and at those
// a little before, if it is a ledger.Auditor, what support did, and if it is a ledger.Earner, what was earned by the hour. It moves the fold on. A ledger that does not catch up with the
// log is domain.ErrNotCaughtUp.
func (f *Fold) VerifyLedger(ctx context.Context, l ledger.Reader, a Audit) (Finding, error) {
	a = a.withDefaults()
	found := Finding{ReadModel: "ledger"}
	if err := f.toLast(ctx, a); err != nil {
		return found, err
	}
	if err := patiently(ctx, a, f.last.ledger, l.Wait); err != nil {
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
	// The accounts come first and their position last, so they are compared with the log as of before, and those that
	// differ, or change until that position, are looked at again there.
	f.pass++
	differ := map[domain.CustomerID]ledger.Account{}
	var n uint64
	state, err := l.Accounts(ctx, func(got ledger.Account) error {
		if n++; n%10_000 == 0 {
			a.Progress("reading the ledger", n, uint64(f.listed))
		}
		want := f.accounts[got.Customer]
		if want != nil {
			want.seen = f.pass
		}
		if want == nil || want.account(got.Customer) != got {
			differ[got.Customer] = got
		}
		return nil
	})
	if err != nil {
		return found, err
	}
	before := map[domain.CustomerID]folded{}
	f.changed = func(customer domain.CustomerID, was, _ folded) {
		if _, known := before[customer]; !known {
			before[customer] = was
		}
	}
	err = f.meet(ctx, state.Position, a)
	f.changed = nil
	if err != nil {
		return found, err
	}
	f.compareAccounts(&found, differ, before)
	found.driftBeside(records)
	found.Position, found.Customers, found.Digest = f.at, f.listed, f.LedgerDigest()
	found.limit(a.Listed)
	return found, nil
}

// compareAccounts finds the drifts at the fold's position: differ holds the accounts that were not as the log said some
// way back, and before what the log said then of those that have changed since.
func (f *Fold) compareAccounts(found *Finding, differ map[domain.CustomerID]ledger.Account, before map[domain.CustomerID]folded) {
	for customer, got := range differ {
		if want := f.accounts[customer]; want == nil || want.account(customer) != got {
			found.drift(Drift{customer, want.total(), ledgerTotal(got)})
		}
	}
	for customer, want := range f.accounts {
		if _, looked := differ[customer]; looked || !want.listed() {
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
	return &DriftTotal{Points: a.points, ReachedAt: a.reachedAt(), Entries: a.entries, Forgotten: a.gone}
}

func ledgerTotal(a ledger.Account) *DriftTotal {
	return &DriftTotal{Points: a.Points, ReachedAt: a.ReachedAt, Entries: a.Entries, Forgotten: a.Forgotten}
}

// AuditedLeaderboard is a leaderboard that can be compared with the log.
type AuditedLeaderboard interface {
	leaderboard.Reader
	leaderboard.Auditor
}

// VerifyLeaderboard compares every standing of a leaderboard with what the log says, and that the key of everybody forgotten is
// retired, while the leaderboard goes on: it reads them piece by piece, each at one position, to which it moves the fold.
// Customers whom the log does not know show as a difference in number. A leaderboard that does not catch up with the fold is domain.ErrNotCaughtUp.
func (f *Fold) VerifyLeaderboard(ctx context.Context, board AuditedLeaderboard, proxies domain.Proxies, a Audit) (Finding, error) {
	a = a.withDefaults()
	if err := f.toLast(ctx, a); err != nil {
		return Finding{ReadModel: "leaderboard"}, err
	}
	return f.compareLeaderboard(ctx, board, proxies, a)
}

func (f *Fold) compareLeaderboard(ctx context.Context, board AuditedLeaderboard, proxies domain.Proxies, a Audit) (Finding, error) {
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
		if err := patiently(ctx, a, f.last.leaderboard, board.Wait); err != nil {
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
		if err := errors.Join(beyond(ctx, f.store, got.Position), f.advance(ctx, got.Position, a)); err != nil {
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
	found.Position, found.Customers, found.Digest = f.at, f.ranked, f.LeaderboardDigest(proxies)
	found.limit(a.Listed)
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
