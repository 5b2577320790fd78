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
	"loyalty/projections"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/memory"
	"loyalty/readmodels/ledger"
)

// seasons keeps a leaderboard for each season that the calendar has, as time goes by: in this process's memory, or in Redis,
// where those who project keep it for everybody.
type seasons struct {
	calendar season.Calendar
	store    *eventstore.Store
	ledger   ledger.Seasons
	// shared is the leaderboard of all time in Redis, nil where leaderboards are in memory. keeps tells whether this process keeps
	// those in Redis, or only reads them.
	shared  sharedBoard
	keeps   bool
	proxies domain.Proxies
	log     *slog.Logger
	now     func() time.Time

	mu     sync.RWMutex
	boards map[string]*seasonBoard
}

// seasonBoard is the leaderboard of one season.
type seasonBoard struct {
	season.Season
	board   BoardStore
	proxies domain.Proxies
	// runner keeps the board up with the log, until stop; it is nil where another process does.
	runner *projections.Runner
	stop   func()
}

// calendarInterval is how often a process looks at the clock again, should the clock be set.
const calendarInterval = time.Minute

// run follows the calendar until ctx ends. What it began goes on until close.
func (s *seasons) run(ctx context.Context) {
	for {
		now := s.now()
		s.turn(ctx, now)
		wait := calendarInterval
		if next := s.calendar.Next(now); !next.IsZero() {
			wait = min(wait, next.Sub(now))
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// turn begins the seasons that there are now and weren't before, and ends those that aren't any more.
func (s *seasons) turn(ctx context.Context, now time.Time) {
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
	b := &seasonBoard{Season: of, proxies: s.proxies.ForSeason(of.ID), stop: func() {}}
	if s.shared != nil {
		b.board = s.shared.Season(of.ID)
	} else {
		b.board = memory.New()
	}
	if s.shared == nil || s.keeps {
		b.follow(ctx, s)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.boards == nil {
		s.boards = map[string]*seasonBoard{}
	}
	s.boards[of.ID] = b
	s.log.Info("a season's leaderboard begins", "season", of.String())
}

// follow has a goroutine keep the board up with the log until stop, which waits for it.
func (b *seasonBoard) follow(ctx context.Context, s *seasons) {
	b.runner = projections.NewRunner(projections.Leaderboard{
		Writer: b.board, Season: b.Season, Accounts: ledger.Season{Ledger: s.ledger, From: b.From, Until: b.Until},
		Proxies: b.proxies, Logger: s.log, Now: s.now,
	}, s.store, projections.Options{Logger: s.log})
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		// Its error is logged; what was folded so far can still be read.
		_ = b.runner.Run(ctx)
	})
	b.stop = func() {
		cancel()
		running.Wait()
	}
}

// end lets go of a season. What Redis has of it goes, too.
func (s *seasons) end(ctx context.Context, b *seasonBoard) {
	s.mu.Lock()
	delete(s.boards, b.ID)
	s.mu.Unlock()
	b.stop()
	s.log.Info("a season's leaderboard ends", "season", b.String())
	if s.shared == nil || !s.keeps {
		return
	}
	if err := s.shared.Season(b.ID).Remove(ctx); err != nil {
		s.log.Warn("a season's leaderboard stays in Redis", "season", b.ID, "error", err)
	}
}

// close stops following the log, once run has ended. What is in Redis stays.
func (s *seasons) close() {
	for _, b := range s.list() {
		b.stop()
	}
}

// list is the seasons in order of their ids.
func (s *seasons) list() []*seasonBoard {
	s.mu.RLock()
	defer s.mu.RUnlock()
	boards := slices.Collect(maps.Values(s.boards))
	slices.SortFunc(boards, func(a, b *seasonBoard) int {
		if order := a.From.Compare(b.From); order != 0 {
			return order
		}
		return b.Until.Compare(a.Until)
	})
	return boards
}

// runners are those of this process.
func (s *seasons) runners() (runners []*projections.Runner) {
	for _, b := range s.list() {
		if b.runner != nil {
			runners = append(runners, b.runner)
		}
	}
	return runners
}

// Season gives a season's leaderboard and what its keys are made with, or false if there is none of that id.
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
