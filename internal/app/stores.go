package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"loyalty/commands"
	"loyalty/domain"
	"loyalty/domain/season"
	"loyalty/eventstore"
	"loyalty/eventstore/embedded"
	"loyalty/projections"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/memory"
	"loyalty/readmodels/leaderboard/redis"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/postgres"
	"loyalty/readmodels/ledger/sqlite"
)

// Connections are the three connection strings that choose the stores.
type Connections struct {
	Eventstore  string // esdb://… for a cluster, embedded:DIR for a store in a folder
	Ledger      string // postgres://… or sqlite:FILE
	Leaderboard string // redis://… and the like, or memory: for one in each process

	// Where one was read from a file, this reads it again, for a login that was refused; else it is nil.
	EventstoreAgain, LedgerAgain, LeaderboardAgain Source
}

// Source gives the text of a setting as it is now, such as that of a file whose password was changed. It may be called from many goroutines
// at once.
type Source func() (string, error)

// Connections are those of the embedded stores in the folder.
func (f Folder) Connections() Connections {
	return Connections{Eventstore: EmbeddedScheme + f.EventStoreDir(), Ledger: SQLiteScheme + f.LedgerFile(), Leaderboard: MemoryScheme}
}

// The schemes that no driver reads itself.
const (
	EmbeddedScheme = "embedded:"
	SQLiteScheme   = "sqlite:"
	MemoryScheme   = "memory:"
)

// ledgerStore is what both ledgers are.
type ledgerStore interface {
	ledger.Reader
	ledger.Finder
	ledger.Auditor
	ledger.Seasons
	ledger.Earner
	ledger.Writer
	ledger.Rebuilder
	Outstanding(ctx context.Context) (domain.Points, error)
	// Migrate makes the schema, or brings it up to date; see postgres.Ledger. Until then the others are domain.ErrUnavailable.
	Migrate(ctx context.Context, report func(doing string, done, total uint64)) error
	Close() error
}

// LeaderboardStore is what all leaderboards are.
type LeaderboardStore interface {
	leaderboard.Reader
	leaderboard.Writer
}

// sharedLeaderboard is a leaderboard that several processes share.
type sharedLeaderboard interface {
	LeaderboardStore
	leaderboard.StandingsReader
	leaderboard.Rebuilder
	Season(of season.Season) *redis.Board
	Close() error
}

// Stores are the open stores of a process. Those that were not wanted are nil.
type Stores struct {
	Server      *embedded.Server // nil unless this process serves the event store
	Store       *eventstore.Store
	Ledger      ledgerStore
	Leaderboard LeaderboardStore
	// Shared is Leaderboard if other processes share it, else nil.
	Shared sharedLeaderboard
}

// Wanted says which stores to open beside the event store.
type Wanted struct {
	Ledger, Leaderboard bool
	// Exclusive makes it an error (embedded.ErrInUse) if another process serves an embedded event store.
	Exclusive bool
	// Patient is for those who go on without an event store on another machine until it answers. For others that is an error.
	Patient bool
}

// Open opens the stores that are wanted. The options are for an embedded event store, which this process serves unless another one does.
// The caller closes the stores, also after an error. A connection string that is missing or wrong is a ConfigError.
func (c Connections) Open(ctx context.Context, want Wanted, o embedded.Options) (s Stores, err error) {
	if err := s.openEventStore(ctx, c, o, want); err != nil {
		return s, fmt.Errorf("the event store: %w", err)
	}
	if want.Ledger {
		if s.Ledger, err = OpenLedger(ctx, c.Ledger, c.LedgerAgain); err != nil {
			return s, fmt.Errorf("the ledger: %w", err)
		}
	}
	if !want.Leaderboard {
		return s, nil
	}
	if c.Leaderboard == MemoryScheme {
		s.Leaderboard = memory.New()
		return s, nil
	}
	if c.Leaderboard == "" {
		return s, missing("leaderboard")
	}
	board, err := redis.Open(ctx, c.Leaderboard, c.LeaderboardAgain)
	if err != nil {
		return s, fmt.Errorf("the leaderboard: %w", err)
	}
	s.Leaderboard, s.Shared = board, board
	return s, nil
}

func missing(what string) error {
	return ConfigError{fmt.Errorf("no %s is given: set LOYALTY_%s or use --%[2]s", what, strings.ToUpper(what), what)}
}

func (s *Stores) openEventStore(ctx context.Context, c Connections, o embedded.Options, want Wanted) error {
	if c.Eventstore == "" {
		return missing("eventstore")
	}
	dir, inFolder := strings.CutPrefix(c.Eventstore, EmbeddedScheme)
	target := c.Eventstore
	if inFolder {
		if dir == "" {
			return ConfigError{errors.New("embedded: needs a folder, as in embedded:loyalty-data/eventstore")}
		}
		o.Dir = dir
		running, err := embedded.Running(dir)
		if err != nil {
			return err
		}
		if want.Exclusive || !running {
			if s.Server, err = embedded.Open(ctx, o); err != nil {
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
	options := eventstore.Options{Logger: o.Logger}
	if !inFolder {
		options.Again = c.EventstoreAgain
	}
	if want.Patient && !inFolder {
		s.Store, err = eventstore.New(target, events, options)
	} else {
		s.Store, err = eventstore.Open(ctx, target, events, options)
	}
	return err
}

// OpenLedger opens the ledger at a connection string, which again, if it is not nil, reads anew.
func OpenLedger(ctx context.Context, connection string, again Source) (ledgerStore, error) {
	file, isFile := strings.CutPrefix(connection, SQLiteScheme)
	switch {
	case connection == "":
		return nil, missing("ledger")
	case isFile && file == "":
		return nil, ConfigError{errors.New("sqlite: needs a file, as in sqlite:loyalty-data/ledger.sqlite")}
	case isFile:
		return opened(sqlite.Open(ctx, file))
	}
	return opened(postgres.Open(ctx, connection, again))
}

// opened returns a nil interface, not one with a nil pointer, for a ledger that could not be opened.
func opened[L ledgerStore](l L, err error) (ledgerStore, error) {
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Close closes the stores in the order of their dependencies.
func (s *Stores) Close(ctx context.Context) error {
	var errs []error
	if s.Shared != nil {
		errs = append(errs, s.Shared.Close())
	}
	if s.Store != nil {
		errs = append(errs, s.Store.Close())
	}
	if s.Ledger != nil {
		errs = append(errs, s.Ledger.Close())
	}
	if s.Server != nil {
		errs = append(errs, s.Server.Close(ctx))
	}
	return errors.Join(errs...)
}

// Quiet are options for an embedded event store that logs nothing, for commands.
func Quiet() embedded.Options { return embedded.Options{Logger: slog.New(slog.DiscardHandler)} }

// Handler handles commands that give and take no points.
func (s Stores) Handler() (*commands.Handler, error) {
	return commands.New(s.Store, commands.Options{Policy: domain.DefaultPolicy(), Now: time.Now, NewID: uuid.New})
}

// BoardsEvery is how often leaderboards in memory are written to their files, unless a setting says otherwise.
const BoardsEvery = 5 * time.Minute

// boardFiles is where a process keeps its leaderboards in memory; the zero boardFiles nowhere.
type boardFiles struct {
	folder string
	every  time.Duration
	log    *slog.Logger
}

// openBoardFiles makes the folder, if one is named.
func openBoardFiles(c Config) (boardFiles, error) {
	b := boardFiles{c.Boards, c.BoardsEvery, c.EventStore.Logger}
	switch {
	case b.folder == "":
		return b, nil
	case c.Leaderboard != MemoryScheme:
		return b, ConfigError{fmt.Errorf("leaderboards are kept in a folder (LOYALTY_KEEP_LEADERBOARDS, --keep-leaderboards) only where they are in memory (--leaderboard %s)", MemoryScheme)}
	case b.every < time.Second:
		return b, ConfigError{fmt.Errorf("leaderboards can be written to their files every second at most, not every %s", b.every)}
	}
	return b, os.MkdirAll(b.folder, 0o700)
}

// file is that of a leaderboard of all time, or of a season; nil if the leaderboard is not in memory or is not kept.
func (b boardFiles) file(of LeaderboardStore, s season.Season) *memory.File {
	board, inMemory := of.(*memory.Board)
	if !inMemory || b.folder == "" {
		return nil
	}
	points := "all time"
	if s.ID != "" {
		points = fmt.Sprintf("season %s from %s until %s", s.ID, s.From.UTC().Format(time.RFC3339Nano), s.Until.UTC().Format(time.RFC3339Nano))
	}
	return &memory.File{Board: board, Path: filepath.Join(b.folder, projections.Leaderboard{Season: s}.Name()+".board"), Of: points, Logger: b.log}
}

// restoredFrom has a projection start from the leaderboard's file, if there is one.
func restoredFrom(file *memory.File, p projections.Leaderboard) projections.Leaderboard {
	if file != nil {
		p.Saved = file
	}
	return p
}

// SeasonLeaderboard is the leaderboard of a season, in the same kind of store as that of all time; one in memory is empty.
func (s Stores) SeasonLeaderboard(of season.Season) LeaderboardStore {
	if s.Shared == nil {
		return memory.New()
	}
	return s.Shared.Season(of)
}
