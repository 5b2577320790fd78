// Package leaderboardtest is the contract of a leaderboard. Every adapter passes it. Each clause is a test named after its rule. A simple
// model gives the expected answers.
package leaderboardtest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// Adapter is the interface of an adapter in the contract.
type Adapter interface {
	leaderboard.Reader
	leaderboard.Writer
	leaderboard.StandingsReader
}

// Run runs the contract. open returns a new leaderboard without a Load, and closes it with t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Adapter) {
	run(t, open, []part{
		{"Order", orderClauses},
		{"Windows", windowClauses},
		{"Changes", changeClauses},
		{"Retirement", retirementClauses},
		{"Checkpoint", checkpointClauses},
		{"Load", loadClauses},
		{"Wait", waitClauses},
		{"Concurrency", concurrencyClauses},
		{"Audit", standingsClauses},
		{"Random histories", propertyClauses},
	})
}

// RunEssentials runs the part of the contract that may fail if the same store is reached in another way: all but the random histories and the
// details of order and windows. For open see Run.
func RunEssentials(t *testing.T, open func(t *testing.T) Adapter) {
	run(t, open, []part{
		{"Changes", changeClauses},
		{"Retirement", retirementClauses},
		{"Checkpoint", checkpointClauses},
		{"Load", loadClauses},
		{"Wait", waitClauses},
		{"Concurrency", concurrencyClauses},
		{"Audit", standingsClauses},
	})
}

type part struct {
	name    string
	clauses []clause
}

func run(t *testing.T, open func(t *testing.T) Adapter, parts []part) {
	for _, part := range parts {
		t.Run(part.name, func(t *testing.T) {
			for _, c := range part.clauses {
				t.Run(c.rule, func(t *testing.T) { c.check(t, open(t)) })
			}
		})
	}
}

// clause is one rule of the contract. Its check gets a leaderboard without a Load.
type clause struct {
	rule  string
	check func(t *testing.T, adapter Adapter)
}

// reporter is the common part of *testing.T and *rapid.T.
type reporter interface {
	Helper()
	Fatalf(format string, args ...any)
}

// start is the time at which the tests' boards are loaded, in whole milliseconds, which every store can hold.
var start = time.Date(2026, 3, 1, 9, 0, 0, 250_000_000, time.UTC)

// board drives an adapter and the model together.
type board struct {
	reporter
	Adapter
	ctx   context.Context
	model *Model
	state leaderboard.State
}

// given loads an adapter with standings, at position 100 and the time start.
func given(t *testing.T, adapter Adapter, standings ...leaderboard.Standing) *board {
	b := &board{reporter: t, Adapter: adapter, ctx: t.Context()}
	b.load(leaderboard.State{Position: at(100), AsOf: start}, standings...)
	return b
}

func (b *board) load(state leaderboard.State, standings ...leaderboard.Standing) {
	b.Helper()
	if err := b.Load(b.ctx, source(state, standings...)); err != nil {
		b.Fatalf("Load of %d standings: %v", len(standings), err)
	}
	b.model, b.state = NewModel(standings...), state
}

// source yields standings as a ledger does.
func source(state leaderboard.State, standings ...leaderboard.Standing) func(func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
	return func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
		for _, s := range standings {
			if err := yield(s); err != nil {
				return leaderboard.Snapshot{}, err
			}
		}
		return snapshotOf(state), nil
	}
}

// snapshotOf is a snapshot at the position of a state.
func snapshotOf(s leaderboard.State) leaderboard.Snapshot {
	return leaderboard.Snapshot{Checkpoint: domain.CheckpointAt(s.Position), AsOf: s.AsOf}
}

// next is a batch of changes that follows the checkpoint, a second later.
func (b *board) next(changes ...leaderboard.Change) leaderboard.Batch {
	from := b.state.Position
	return leaderboard.Batch{From: domain.CheckpointAt(from), To: domain.CheckpointAt(at(from.Commit + 10)), AsOf: b.state.AsOf.Add(time.Second), Changes: changes}
}

// apply applies changes in one batch, which must succeed, to the board and the model.
func (b *board) apply(changes ...leaderboard.Change) {
	b.Helper()
	batch := b.next(changes...)
	if err := b.model.Apply(changes...); err != nil {
		b.Fatalf("the test's own changes: %v", err)
	}
	if err := b.Apply(b.ctx, batch); err != nil {
		b.Fatalf("Apply of %+v: %v", batch, err)
	}
	b.state = leaderboard.State{Position: batch.To.Position, AsOf: batch.AsOf}
}

// refuses expects an error for a batch, and that it changes nothing.
func (b *board) refuses(batch leaderboard.Batch, kind error) {
	b.Helper()
	if err := b.Apply(b.ctx, batch); !errors.Is(err, kind) {
		b.Fatalf("Apply of %+v: got error %v, want %v", batch, err, kind)
	}
	b.agrees()
}

// agrees compares with the model: the checkpoint, and the standing and the dashboard of every customer, of every retired key and of an absent
// customer. In the largest windows, a dashboard shows a whole board of up to 50 customers.
func (b *board) agrees() {
	b.Helper()
	b.checkpointIs(b.state.Position)
	ranking := b.model.Ranking()
	for _, s := range ranking {
		b.shows(ranking, s.Key, leaderboard.MaxTop, leaderboard.MaxAround)
		b.stands(s.Key)
	}
	for _, s := range b.model.Retired() {
		b.shows(ranking, s.Key, 1, leaderboard.MaxAround)
		b.stands(s.Key)
	}
	b.shows(ranking, absent, leaderboard.MaxTop, leaderboard.MaxAround)
	b.stands(absent)
}

// shows compares one dashboard with the ranking's.
func (b *board) shows(ranking Ranking, key domain.ProxyKey, top, around int) {
	b.Helper()
	want := ranking.Dashboard(key, top, around)
	want.State = b.state
	if diff := difference(want, b.dashboard(key, top, around)); diff != "" {
		b.Fatalf("dashboard of %s, top %d, around %d (-want +got):\n%s", key, top, around, diff)
	}
}

// stands compares one standing with the model's.
func (b *board) stands(key domain.ProxyKey) {
	b.Helper()
	want, wantRanked := b.model.Standing(key)
	got, ranked, position, err := b.Standing(b.ctx, key)
	if err != nil || got != want || ranked != wantRanked || position != b.state.Position {
		b.Fatalf("standing of %s: got %+v %v at %s, %v; want %+v %v at %s", key, got, ranked, position, err, want, wantRanked, b.state.Position)
	}
}

func (b *board) checkpointIs(want domain.Position) {
	b.Helper()
	if got, err := b.Checkpoint(b.ctx); err != nil || got.Position != want {
		b.Fatalf("checkpoint: got %s, %v; want %s", got, err, want)
	}
}

func (b *board) dashboard(key domain.ProxyKey, top, around int) leaderboard.Dashboard {
	b.Helper()
	var d leaderboard.Dashboard
	if err := b.Dashboard(b.ctx, key, top, around, &d); err != nil {
		b.Fatalf("dashboard of %s: %v", key, err)
	}
	return d
}

// ranks expects these customers on the board, best first, and in the model too.
func (b *board) ranks(keys ...domain.ProxyKey) {
	b.Helper()
	var got []domain.ProxyKey
	for _, row := range b.dashboard(absent, leaderboard.MaxTop, 0).Top {
		got = append(got, row.Key)
	}
	if diff := cmp.Diff(keys, got, cmpopts.EquateEmpty()); diff != "" {
		b.Fatalf("order (-want +got):\n%s", diff)
	}
	b.agrees()
}

// difference is empty for equal dashboards. Empty and nil slices are equal, and so are times in different zones. Equal rows take a fast path,
// because thousands of dashboards are compared, and few differ.
func difference(want, got leaderboard.Dashboard) string {
	if slices.Equal(want.Top, got.Top) && slices.Equal(want.Around, got.Around) {
		want.Top, want.Around, got.Top, got.Around = nil, nil, nil, nil
	}
	return cmp.Diff(want, got, cmpopts.EquateEmpty())
}

func at(commit uint64) domain.Position { return domain.Position{Commit: commit, Prepare: commit} }

// The customers of the tests. Their keys are in alphabetical order.
var (
	ann, bob, cat, dan, eve = name("ann"), name("bob"), name("cat"), name("dan"), name("eve")
	// absent is never on a board.
	absent = name("zzz")
)

func name(text string) (key domain.ProxyKey) {
	copy(key[:], text)
	return key
}

func standing(key domain.ProxyKey, points domain.Points, minute int64) leaderboard.Standing {
	return leaderboard.Standing{Key: key, Points: points, Minute: minute}
}

func change(key domain.ProxyKey, points domain.Points, minute int64) leaderboard.Change {
	return leaderboard.Change{Key: key, Points: points, Minute: minute}
}

func retires(key domain.ProxyKey) leaderboard.Change {
	return leaderboard.Change{Key: key, Retires: true}
}

func retired(key domain.ProxyKey) leaderboard.Standing {
	return leaderboard.Standing{Key: key, Retired: true}
}
