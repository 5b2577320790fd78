package projections

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"loyalty/domain"
	"loyalty/eventstore"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/ledger"
)

// RebuildableLedger is a live ledger that can be rebuilt.
type RebuildableLedger interface {
	ledger.Reader
	Checkpoint(ctx context.Context) (domain.Checkpoint, error)
	ledger.Rebuilder
}

// RebuildableLeaderboard is a live leaderboard that can be rebuilt.
type RebuildableLeaderboard interface {
	ComparableLeaderboard
	Checkpoint(ctx context.Context) (domain.Checkpoint, error)
	leaderboard.Rebuilder
}

// Rebuilt is the result of a rebuild.
type Rebuilt struct {
	ReadModel string `json:"readModel"`
	// Position is where the copy and the live read model were compared. Digest is the copy's there, and LiveDigest the live one's, if it is
	// known. Differs is true if they differ, or if the audit logs (ledger.Auditor) or the earnings (ledger.Earner) do.
	Position   domain.Position `json:"position"`
	Digest     Digest          `json:"digest"`
	LiveDigest *Digest         `json:"liveDigest,omitempty"`
	Differs    bool            `json:"differs"`
	// NotCompared is why nothing was compared: the live read model was behind, or empty. It was replaced all the same.
	NotCompared string `json:"notCompared,omitempty"`
	// Customers is the number of customers in the copy, Events that of the events folded into it.
	Customers int64  `json:"customers"`
	Events    uint64 `json:"events"`
}

// batchSize is the number of events in a batch of a rebuild.
const batchSize = 1000

// copying folds the log into a copy.
type copying struct {
	Projection
	store   *eventstore.Store
	log     string // its id
	at      domain.Checkpoint
	events  uint64
	options CompareOptions
}

// advance applies the log up to a position that exists in it.
func (c *copying) advance(ctx context.Context, until domain.Position) error {
	batch := Batch{From: c.at}
	apply := func(to domain.Checkpoint) error {
		to.Log, to.Fold, to.Names = c.log, c.Fold(), c.Names()
		batch.To = to
		if err := c.Apply(ctx, batch); err != nil {
			return fmt.Errorf("apply %d events from position %s to %s: %w", len(batch.Events), batch.From, batch.To, err)
		}
		c.at, c.events = to, c.events+uint64(len(batch.Events))
		c.options.Progress("folding the log", to.Position.Commit, until.Commit)
		batch = Batch{From: to, Events: batch.Events[:0]}
		return nil
	}
	reached, err := c.store.Between(ctx, c.at, until, c.Types(), func(r eventstore.Recorded) error {
		batch.Events, batch.AsOf = append(batch.Events, r), r.Created
		if len(batch.Events) < batchSize {
			return nil
		}
		return apply(domain.Checkpoint{Position: r.Position, Last: r.Ref()})
	})
	if err != nil || !c.at.Position.Before(until) {
		return err
	}
	return apply(reached)
}

// toLast applies the log up to the last event of the projection's types, which the live read model must also reach.
func (c *copying) toLast(ctx context.Context) error {
	last, err := c.store.End(ctx, c.Types()...)
	if err != nil {
		return err
	}
	return c.advance(ctx, last)
}

// maxSwitchAttempts bounds how often a copy that the live read model has overtaken catches up again. Each time there is less to catch up with.
const maxSwitchAttempts = 100

// switchOver advances the copy to the log's end and replaces the live read model with it.
func (c *copying) switchOver(ctx context.Context, switchOver func(context.Context) error) error {
	for range maxSwitchAttempts {
		// The end of the whole log: the live read model's checkpoint may be beyond the last event of its types.
		end, err := c.store.End(ctx)
		if err != nil {
			return err
		}
		if err := c.advance(ctx, end); err != nil {
			return err
		}
		if err := switchOver(ctx); !errors.Is(err, domain.ErrNotCaughtUp) {
			return err
		}
	}
	return fmt.Errorf("the live read model was ahead of its copy %d times: %w", maxSwitchAttempts, domain.ErrNotCaughtUp)
}

// openCopy opens a copy beside a live read model. It returns an error if the live one is not of this log, or has names of another secret; an empty
// one is no error.
func openCopy[C any](ctx context.Context, store *eventstore.Store, proxies domain.Proxies, a CompareOptions, checkpoint func(context.Context) (domain.Checkpoint, error), open func(context.Context) (C, error)) (copied C, log string, err error) {
	if !a.FromNothing {
		at, err := checkpoint(ctx)
		if err == nil {
			err = errors.Join(store.CheckCheckpoint(ctx, at), at.CheckNames(proxies.Fingerprint()))
		}
		if err != nil && !errors.Is(err, domain.ErrNotCaughtUp) {
			return copied, "", err
		}
	}
	facts, err := store.BeginLog(ctx)
	if err != nil {
		return copied, "", err
	}
	copied, err = open(ctx)
	return copied, facts.ID, err
}

// notCompared is why nothing is compared with FromNothing.
const notCompared = "it was to be replaced by what is folded from nothing, whatever was in it"

// discard removes a copy after a rebuild, also after an interrupted one.
func discard(ctx context.Context, err error, copied interface{ Discard(context.Context) error }) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(err, copied.Discard(ctx))
}

// RebuildLedger folds the log into a new copy of a ledger, compares it with the live one at one position, and replaces that with it. proxies
// must be those of the live one, unless CompareOptions.FromNothing is set. The live ledger serves meanwhile. On an error, also of ctx, it stays unchanged.
func RebuildLedger(ctx context.Context, store *eventstore.Store, live RebuildableLedger, proxies domain.Proxies, a CompareOptions) (_ Rebuilt, err error) {
	a = a.withDefaults()
	rebuilt := Rebuilt{ReadModel: "ledger"}
	copied, log, err := openCopy(ctx, store, proxies, a, live.Checkpoint, live.Copy)
	if err != nil {
		return rebuilt, err
	}
	defer func() { err = discard(ctx, err, copied) }()
	c := &copying{Projection: Ledger{Writer: copied, Proxies: proxies}, store: store, log: log, options: a}
	if err := c.toLast(ctx); err != nil {
		return rebuilt, err
	}
	if !a.FromNothing {
		err = waitFor(ctx, a, c.at.Position, live.Wait)
	}
	switch {
	case a.FromNothing:
		rebuilt.NotCompared = notCompared
	case ctx.Err() != nil:
		return rebuilt, ctx.Err()
	case err != nil:
		rebuilt.NotCompared = "the live ledger does not catch up: " + err.Error()
	default:
		if auditor, ok := live.(ledger.Auditor); ok {
			if rebuilt.Differs, err = differ[ledger.Auditor](ctx, c, auditor, copied, readAuditLog); err != nil {
				return rebuilt, err
			}
		}
		if earner, ok := live.(ledger.Earner); ok {
			earningsDiffer, err := differ[ledger.Earner](ctx, c, earner, copied, readEarnings)
			if err != nil {
				return rebuilt, err
			}
			rebuilt.Differs = rebuilt.Differs || earningsDiffer
		}
		var sum Digester
		later, ahead := map[domain.CustomerID]ledger.Account{}, ahead{}
		read, err := c.read(ctx, live, "reading the live ledger", func(account ledger.Account, at domain.Position) {
			if at == (domain.Position{}) {
				sum.AddAccount(account)
				return
			}
			later[account.Customer], ahead[account.Customer] = account, at
		})
		if err == nil {
			err = c.advance(ctx, read.Position)
		}
		if err == nil {
			// Those that were read later count as the copy has them, until they are compared where they were read.
			err = c.digest(ctx, &rebuilt, copied, func(account ledger.Account) {
				if _, waits := later[account.Customer]; waits {
					sum.AddAccount(account)
				}
			})
		}
		if err != nil {
			return rebuilt, err
		}
		live := sum.Digest()
		rebuilt.LiveDigest = &live
		same, err := c.same(ctx, copied, later, ahead)
		if err != nil {
			return rebuilt, err
		}
		rebuilt.Differs = rebuilt.Differs || !same || live != rebuilt.Digest
	}
	if rebuilt.LiveDigest == nil {
		if err := c.digest(ctx, &rebuilt, copied, func(ledger.Account) {}); err != nil {
			return rebuilt, err
		}
	}
	takeOver := copied.Switch
	if a.FromNothing {
		takeOver = copied.Replace
	}
	err = c.switchOver(ctx, takeOver)
	rebuilt.Events = c.events
	return rebuilt, err
}

// differ advances the copy to the live ledger's position, and reports whether read gives different sums for the two.
func differ[L any, K, V comparable, M ~map[K]V](ctx context.Context, c *copying, live, copied L, read func(context.Context, L, CompareOptions) (M, domain.Position, error)) (bool, error) {
	want, at, err := read(ctx, live, c.options)
	if err == nil {
		err = c.advance(ctx, at)
	}
	if err != nil {
		return false, err
	}
	got, _, err := read(ctx, copied, c.options)
	return !maps.Equal(want, got), err
}

// read calls each with every account of a ledger, one after the other, and with its position if that is not the snapshot's.
func (c *copying) read(ctx context.Context, l ledger.Reader, doing string, each func(ledger.Account, domain.Position)) (ledger.Snapshot, error) {
	var n uint64
	return l.Accounts(ctx, ledger.InTurn(func(account ledger.Account, at domain.Position) error {
		if n++; n%10_000 == 0 {
			c.options.Progress(doing, n, 0)
		}
		each(account, at)
		return nil
	}))
}

// digest computes the digest of the copy, which does not change meanwhile, and calls each with its accounts.
func (c *copying) digest(ctx context.Context, rebuilt *Rebuilt, copied ledger.Reader, each func(ledger.Account)) error {
	var sum Digester
	rebuilt.Customers = 0
	read, err := c.read(ctx, copied, "reading the new ledger", func(account ledger.Account, _ domain.Position) {
		rebuilt.Customers++
		sum.AddAccount(account)
		each(account)
	})
	rebuilt.Digest, rebuilt.Position = sum.Digest(), read.Position
	return err
}

// same advances the copy, and tells whether accounts of the live ledger that were read at later positions are the same there.
func (c *copying) same(ctx context.Context, copied ledger.Reader, later map[domain.CustomerID]ledger.Account, ahead ahead) (bool, error) {
	for _, customer := range ahead.inOrder() {
		if err := c.advance(ctx, ahead[customer]); err != nil {
			return false, err
		}
		if got, _, err := copied.Account(ctx, customer); err != nil || got != later[customer] {
			return false, err
		}
	}
	return true, nil
}

// RebuildLeaderboard folds the log into a new copy of a leaderboard, compares the live one with the log, and replaces it with the copy. The live
// leaderboard serves meanwhile. On an error, also of ctx, it stays unchanged.
func RebuildLeaderboard(ctx context.Context, store *eventstore.Store, live RebuildableLeaderboard, proxies domain.Proxies, a CompareOptions) (_ Rebuilt, err error) {
	a = a.withDefaults()
	rebuilt := Rebuilt{ReadModel: "leaderboard"}
	copied, log, err := openCopy(ctx, store, proxies, a, live.Checkpoint, live.Copy)
	if err != nil {
		return rebuilt, err
	}
	defer func() { err = discard(ctx, err, copied) }()
	fold := NewFold(store)
	if err := fold.toLast(ctx, a); err != nil {
		return rebuilt, err
	}
	projection := Leaderboard{Writer: copied, Proxies: proxies}
	loaded := fold.at
	loaded.Log, loaded.Fold, loaded.Names = log, projection.Fold(), projection.Names()
	if err := copied.Load(ctx, func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
		return leaderboard.Snapshot{Checkpoint: loaded}, fold.standings(proxies, a, yield)
	}); err != nil {
		return rebuilt, err
	}
	c := &copying{Projection: projection, store: store, log: log, at: loaded, events: fold.events, options: a}
	var found Finding
	if a.FromNothing {
		rebuilt.NotCompared = notCompared
	} else {
		found, err = fold.VerifyLeaderboard(ctx, live, proxies, a)
	}
	switch {
	case ctx.Err() != nil:
		return rebuilt, ctx.Err()
	case errors.Is(err, domain.ErrNotCaughtUp):
		rebuilt.NotCompared = "the live leaderboard is empty or does not catch up: " + err.Error()
	case err != nil:
		return rebuilt, err
	}
	rebuilt.Differs = found.Drifted > 0
	// The fold has advanced to the live leaderboard's position; the copy is compared with it there.
	if err := c.advance(ctx, fold.at.Position); err != nil {
		return rebuilt, err
	}
	if found, err = fold.compareLeaderboard(ctx, copied, proxies, CompareOptions{Progress: a.Progress}.withDefaults()); err != nil {
		return rebuilt, err
	}
	if found.Drifted > 0 {
		return rebuilt, fmt.Errorf("the new leaderboard differs from the log for %d customers; the live one stays", found.Drifted)
	}
	rebuilt.Position, rebuilt.Digest, rebuilt.Customers = found.Position, found.Digest, found.Customers
	if !rebuilt.Differs && rebuilt.NotCompared == "" {
		rebuilt.LiveDigest = &rebuilt.Digest
	}
	takeOver := copied.Switch
	if a.FromNothing {
		takeOver = copied.Replace
	}
	err = c.switchOver(ctx, takeOver)
	rebuilt.Events = c.events
	return rebuilt, err
}
