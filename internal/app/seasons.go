package app

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"loyalty/domain"
	"loyalty/domain/season"
	"loyalty/eventstore"
	"loyalty/eventstore/reading"
	"loyalty/projections"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/memory"
	"loyalty/readmodels/ledger"
)

// seasons has a leaderboard for each season that the calendar has now: in this process's memory, or in Redis, where processes with the
// project role keep it for all.
type seasons struct {
	calendar season.Calendar
	store    *eventstore.Store
	reading  *reading.Shared
	ledger   ledger.Seasons
	// shared is the leaderboard of all time in Redis, nil if leaderboards are in memory. keeps says that this process keeps those in
	// Redis; otherwise it only reads them.
	shared  sharedLeaderboard
	keeps   bool
	proxies domain.Proxies
	files   boardFiles
	log     *slog.Logger
	now     func() time.Time

	mu     sync.RWMutex
	boards map[string]*seasonLeaderboard
}

// seasonLeaderboard is the leaderboard of one season.
type seasonLeaderboard struct {
	season.Season
	board   LeaderboardStore
	proxies domain.Proxies
	// runner projects into the leaderboard until stop; nil if another process does.
	runner *projections.Runner
	stop   func()
	file   *memory.File // nil if the leaderboard is not kept in one
}

// calendarInterval is the longest time between two looks at the clock, which may be set.
const calendarInterval = time.Minute

// run begins and ends seasons as the calendar says, until ctx ends. Runners go on until close.
func (s *seasons) run(ctx context.Context) {
	for {
		now := s.now()
		s.update(ctx, now)
		wait := calendarInterval
		if next := s.calendar.Next(now); !next.IsZero() {
			wait = min(wait, next.Sub(now))
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// update begins the seasons that the calendar has at now and had not before, and ends those that it no longer has.
func (s *seasons) update(ctx context.Context, now time.Time) {
	wanted := map[string]season.Season{}
	for _, each := range s.calendar.At(now) {
		wanted[each.ID] = each
	}
	for id, b := range s.boards { // only this method changes it
		if _, stays := wanted[id]; !stays {
			s.end(ctx, b)
		}
	}
	for id, each := range wanted {
		if _, known := s.boards[id]; !known {
			s.begin(ctx, each)
		}
	}
}

func (s *seasons) begin(ctx context.Context, of season.Season) {
	b := &seasonLeaderboard{
		Season: of, board: Stores{Shared: s.shared}.SeasonLeaderboard(of), proxies: s.proxies.ForSeason(of.ID), stop: func() {},
	}
	if s.shared == nil || s.keeps {
		b.follow(ctx, s)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.boards == nil {
		s.boards = map[string]*seasonLeaderboard{}
	}
	s.boards[of.ID] = b
	s.log.Info("a season's leaderboard begins", "season", of.String())
}

// follow runs the projection in a goroutine until stop, which waits for it.
func (b *seasonLeaderboard) follow(ctx context.Context, s *seasons) {
	b.file = s.files.file(b.board, b.Season)
	b.runner = projections.NewRunner(restoredFrom(b.file, projections.Leaderboard{
		Writer: b.board, Season: b.Season, Accounts: ledger.Season{Ledger: s.ledger, From: b.From, Until: b.Until}, Log: s.store,
		Proxies: b.proxies, Logger: s.log, Now: s.now,
	}), s.store, projections.Options{Reading: s.reading, Logger: s.log})
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { b.runner.Keep(ctx) })
	if b.file != nil {
		running.Go(func() { b.file.Keep(ctx, s.files.every) })
	}
	b.stop = func() {
		cancel()
		running.Wait()
	}
}

// end stops a season's runner, and removes the leaderboard's file, or the leaderboard from Redis if this process keeps it.
func (s *seasons) end(ctx context.Context, b *seasonLeaderboard) {
	s.mu.Lock()
	delete(s.boards, b.ID)
	s.mu.Unlock()
	b.stop()
	s.log.Info("a season's leaderboard ends", "season", b.String())
	if b.file != nil {
		if err := b.file.Remove(); err != nil {
			s.log.Warn("the file of a season's leaderboard stays", "file", b.file.Path, "error", err)
		}
	}
	if s.shared == nil || !s.keeps {
		return
	}
	if err := s.shared.Season(b.Season).Remove(ctx); err != nil {
		s.log.Warn("a season's leaderboard stays in Redis", "season", b.ID, "error", err)
	}
}

// close stops all runners. run must have ended. Leaderboards in Redis stay.
func (s *seasons) close() {
	for _, b := range s.list() {
		b.stop()
	}
}

// list is the seasons in the order of their beginning, the longest first.
func (s *seasons) list() []*seasonLeaderboard {
	s.mu.RLock()
	defer s.mu.RUnlock()
	boards := slices.Collect(maps.Values(s.boards))
	slices.SortFunc(boards, func(a, b *seasonLeaderboard) int {
		if order := a.From.Compare(b.From); order != 0 {
			return order
		}
		return b.Until.Compare(a.Until)
	})
	return boards
}

// runners are the runners of seasons in this process.
func (s *seasons) runners() (runners []*projections.Runner) {
	for _, b := range s.list() {
		if b.runner != nil {
			runners = append(runners, b.runner)
		}
	}
	return runners
}

// Season returns a season's leaderboard and the proxies that its keys are made with, or false if there is no season with the id.
func (s *seasons) Season(id string) (season.Season, leaderboard.Reader, domain.Proxies, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, known := s.boards[id]
	if !known {
		return season.Season{}, nil, domain.Proxies{}, false
	}
	return b.Season, b.board, b.proxies, true
}

// Seasons lists the seasons, in order of their beginning, the longest first.
func (s *seasons) Seasons() (all []season.Season) {
	for _, b := range s.list() {
		all = append(all, b.Season)
	}
	return all
}
