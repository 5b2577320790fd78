package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"loyalty/domain"
	"loyalty/eventstore"
	"loyalty/eventstore/embedded"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/memory"
	"loyalty/readmodels/leaderboard/redis"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/postgres"
	"loyalty/readmodels/ledger/sqlite"
)

// connections are the three strings that say where the system keeps what it knows.
type connections struct {
	Eventstore  string `help:"Where the events are: esdb://… for a cluster, embedded:DIR for a store in a folder." env:"LOYALTY_EVENTSTORE" placeholder:"URL"`
	Ledger      string `help:"Where the ledger is: postgres://… or sqlite:FILE." env:"LOYALTY_LEDGER" placeholder:"URL"`
	Leaderboard string `help:"Where the leaderboard is: redis://…, rediss://…, redis+cluster://…, redis+sentinel://…, or memory: for one in each process." env:"LOYALTY_LEADERBOARD" placeholder:"URL"`
}

// connections are those of a data folder.
func (f folder) connections() connections {
	return connections{Eventstore: embeddedScheme + f.eventStore(), Ledger: sqliteScheme + f.ledger(), Leaderboard: memoryScheme}
}

// The schemes that are not a driver's own.
const (
	embeddedScheme = "embedded:"
	sqliteScheme   = "sqlite:"
	memoryScheme   = "memory:"
)

// ledgerStore is a ledger of whatever kind.
type ledgerStore interface {
	ledger.Reader
	ledger.Finder
	ledger.Auditor
	ledger.Seasons
	ledger.Earner
	ledger.Writer
	ledger.Rebuilder
	Outstanding(ctx context.Context) (domain.Points, error)
	Close() error
}

// boardStore is a leaderboard of whatever kind.
type boardStore interface {
	leaderboard.Reader
	leaderboard.Writer
}

// sharedBoard is one that several processes have in common.
type sharedBoard interface {
	boardStore
	leaderboard.Auditor
	leaderboard.Rebuilder
	Season(id string) *redis.Board
	Close() error
}

// stores are the open stores of a process. Those that were not asked for are nil.
type stores struct {
	server *embedded.Server // nil unless this process serves the event store
	store  *eventstore.Store
	ledger ledgerStore
	board  boardStore
	// shared is board if other processes see the same one, else nil.
	shared sharedBoard
}

// wanted says which of the stores beside the event store to open, and whether an event store in a folder must be this
// process's alone.
type wanted struct{ ledger, leaderboard, alone bool }

// openStores opens what is wanted. The options are for an event store in a folder, which this process serves unless another
// one does. The caller closes the stores, also after an error.
func (c connections) openStores(ctx context.Context, want wanted, o embedded.Options) (s stores, err error) {
	if err := s.openEventStore(ctx, c.Eventstore, o, want.alone); err != nil {
		return s, fmt.Errorf("the event store: %w", err)
	}
	if want.ledger {
		if s.ledger, err = openLedger(ctx, c.Ledger); err != nil {
			return s, fmt.Errorf("the ledger: %w", err)
		}
	}
	if !want.leaderboard {
		return s, nil
	}
	if c.Leaderboard == memoryScheme {
		s.board = memory.New()
		return s, nil
	}
	if c.Leaderboard == "" {
		return s, missing("leaderboard")
	}
	board, err := redis.Open(ctx, c.Leaderboard)
	if err != nil {
		return s, fmt.Errorf("the leaderboard: %w", err)
	}
	s.board, s.shared = board, board
	return s, nil
}

func missing(what string) error {
	return usageError{fmt.Errorf("no %s is given: set LOYALTY_%s or use --%[2]s", what, strings.ToUpper(what), what)}
}

func (s *stores) openEventStore(ctx context.Context, connection string, o embedded.Options, alone bool) error {
	if connection == "" {
		return missing("eventstore")
	}
	dir, inFolder := strings.CutPrefix(connection, embeddedScheme)
	target := connection
	if inFolder {
		if dir == "" {
			return usageError{errors.New("embedded: needs a folder, as in embedded:loyalty-data/eventstore")}
		}
		o.Dir = dir
		running, err := embedded.Running(dir)
		if err != nil {
			return err
		}
		if alone || !running {
			if s.server, err = embedded.Open(ctx, o); err != nil {
				return err
			}
		}
		if target, err = embedded.SocketTarget(dir); err != nil {
			return err
		}
	}
	events, err := eventstore.LoyaltyEvents()
	if err != nil {
		return err
	}
	s.store, err = eventstore.Open(ctx, target, events, eventstore.Options{Logger: o.Logger})
	return err
}

func openLedger(ctx context.Context, connection string) (ledgerStore, error) {
	file, isFile := strings.CutPrefix(connection, sqliteScheme)
	switch {
	case connection == "":
		return nil, missing("ledger")
	case isFile && file == "":
		return nil, usageError{errors.New("sqlite: needs a file, as in sqlite:loyalty-data/ledger.sqlite")}
	case isFile:
		return opened(sqlite.Open(ctx, file))
	}
	return opened(postgres.Open(ctx, connection))
}

// opened has a ledger that could not be opened be nil, which a nil pointer in an interface is not.
func opened[L ledgerStore](l L, err error) (ledgerStore, error) {
	if err != nil {
		return nil, err
	}
	return l, nil
}

// close closes the stores, in the order in which they need each other.
func (s *stores) close(ctx context.Context) error {
	var errs []error
	if s.shared != nil {
		errs = append(errs, s.shared.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.ledger != nil {
		errs = append(errs, s.ledger.Close())
	}
	if s.server != nil {
		errs = append(errs, s.server.Close(ctx))
	}
	return errors.Join(errs...)
}

// quiet are the options of an event store that a command opens for itself.
func quiet() embedded.Options { return embedded.Options{Logger: slog.New(slog.DiscardHandler)} }
