// Package sqlite keeps the ledger in one SQLite file, for a machine without a database server.
//
// One connection writes and several read, so readers never wait for the writer nor it for them (write-ahead log). Other
// processes may open the same file, as long as it is on a local disk; two that write take turns.
//
// A commit survives the end of the process, however it ends, but is not forced to the disk (synchronous=NORMAL): a power
// cut may take the last ones. That is safe, because rows and checkpoint are in one transaction: what is lost is lost with
// its checkpoint, and is folded again from the log, which is forced to the disk.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pressly/goose/v3"
	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// Ledger is a ledger in a file. It is a ledger.Reader, Finder, Auditor, Earner, Writer and Rebuilder.
type Ledger struct {
	writer, readers *sql.DB
	// prefix is what the names of its tables begin with: nothing, but for a copy.
	prefix string
	// statements were prepared on one of the two, and close with it.
	checkpoint, outstanding, account, trail, accounts *sql.Stmt
	entry, found, bucket                              *sql.Stmt
	move, earn, record, decide, forget                *sql.Stmt
	upserts, inserts                                  rows
	progress                                          *ledger.Progress
}

var (
	_ ledger.Reader    = (*Ledger)(nil)
	_ ledger.Finder    = (*Ledger)(nil)
	_ ledger.Auditor   = (*Ledger)(nil)
	_ ledger.Earner    = (*Ledger)(nil)
	_ ledger.Writer    = (*Ledger)(nil)
	_ ledger.Rebuilder = (*Ledger)(nil)
)

// readConnections bounds the reads that run at once; further ones queue until their context ends.
const readConnections = 8

// Settings of every connection, and of the writer's and the readers'. cache_size is in KiB where negative. The write-ahead
// log is folded into the file every 16,384 pages of 4 KiB, not every 1,000: a batch of 1,000 entries touches about as many
// pages twice over, many of them the same as the batch before did, and each is then copied once for several batches.
// Statement journals stay in memory.
const (
	settings       = "mode=rw&_busy_timeout=10000&_pragma=temp_store(memory)"
	writerSettings = settings + "&_txlock=immediate&_journal_mode=WAL&_synchronous=NORMAL&_pragma=cache_size(-65536)" +
		"&_pragma=wal_autocheckpoint(16384)&_pragma=journal_size_limit(67108864)"
	readerSettings = settings + "&_query_only=1&_pragma=cache_size(-8192)"
)

// Open opens the ledger in the file at path, and makes the file (mode 0600), its folder (0700) and its schema where they
// are missing. Close it after use.
func Open(ctx context.Context, path string) (*Ledger, error) {
	l := &Ledger{progress: ledger.NewProgress()}
	if err := l.open(ctx, path); err != nil {
		return nil, fmt.Errorf("ledger %s: %w", path, errors.Join(classify(err), l.Close()))
	}
	return l, nil
}

func (l *Ledger) open(ctx context.Context, path string) (err error) {
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	if err := create(path); err != nil {
		return err
	}
	if l.writer, err = connect(path, writerSettings, 1); err != nil {
		return err
	}
	if err := migrate(ctx, l.writer); err != nil {
		return err
	}
	if l.readers, err = connect(path, readerSettings, readConnections); err != nil {
		return err
	}
	if err := l.prepare(ctx); err != nil {
		return err
	}
	_, err = l.Checkpoint(ctx)
	return err
}

// create makes the file if there is none, so that it has its mode from the start. It never opens one that exists: closing
// it again would drop the locks that other connections of this process hold on it.
func create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return file.Close()
}

func connect(path, settings string, connections int) (*sql.DB, error) {
	address := url.URL{Scheme: "file", Path: path, RawQuery: settings}
	db, err := sql.Open("sqlite", address.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date. It looks again after a failure, because another process may have migrated between
// its look and its change; each migration is in a transaction and can be in only once (see migration_once).
func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
		if err != nil {
			return err
		}
		if _, err = provider.Up(ctx); err == nil || attempt == 3 {
			return err
		}
	}
}

// in is a statement that names its tables in main, for the ledger's own tables.
func (l *Ledger) in(statement string) string {
	return strings.ReplaceAll(statement, "main.", "main."+l.prefix)
}

// prepare prepares every statement once. SQLite finds the tables anew by their names when those have changed.
func (l *Ledger) prepare(ctx context.Context) (err error) {
	for _, s := range []struct {
		into *(*sql.Stmt)
		db   *sql.DB
		text string
	}{
		{&l.checkpoint, l.readers, selectState},
		{&l.outstanding, l.readers, selectOutstanding},
		{&l.account, l.readers, selectAccount},
		{&l.trail, l.readers, selectTrail},
		{&l.accounts, l.readers, selectAccounts},
		{&l.entry, l.readers, selectEntry},
		{&l.found, l.readers, selectFound},
		{&l.bucket, l.readers, selectBucket},
		{&l.move, l.writer, moveCheckpoint},
		{&l.earn, l.writer, addEarning},
		{&l.record, l.writer, insertAuditRecord},
		{&l.decide, l.writer, decideRequest},
		{&l.forget, l.writer, forgetAccount},
	} {
		if *s.into, err = s.db.PrepareContext(ctx, l.in(s.text)); err != nil {
			return fmt.Errorf("%s: %w", s.text, err)
		}
	}
	if err := l.upserts.prepare(ctx, l.writer, upsertAccounts.in(l)); err != nil {
		return err
	}
	return l.inserts.prepare(ctx, l.writer, insertEntries.in(l))
}

// release closes the statements, which Close does with their connections.
func (l *Ledger) release() error {
	var errs []error
	statements := []*sql.Stmt{l.checkpoint, l.outstanding, l.account, l.trail, l.accounts, l.entry, l.found, l.bucket, l.move, l.earn, l.record, l.decide, l.forget}
	for _, s := range slices.Concat(statements, l.upserts.forms[:], l.inserts.forms[:]) {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// Close waits for what is running and closes the file. Every method then returns domain.ErrUnavailable.
func (l *Ledger) Close() error {
	var errs []error
	// The writer is last, so that the connection that folds the write-ahead log into the file is one that may write.
	for _, db := range []*sql.DB{l.readers, l.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// classify marks an error after which trying again may succeed as domain.ErrUnavailable: every one but the ledger's own
// answers, the end of the context, and what SQLite says about the content (a constraint, a damaged file, a statement).
func classify(err error) error {
	for _, final := range []error{nil, domain.ErrInvalid, domain.ErrNotFound, domain.ErrCheckpointMoved, domain.ErrPointsLimit, domain.ErrNotCaughtUp, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, final) {
			return err
		}
	}
	var refused *driver.Error
	if errors.As(err, &refused) {
		switch refused.Code() & 0xff {
		case codes.SQLITE_BUSY, codes.SQLITE_LOCKED, codes.SQLITE_IOERR, codes.SQLITE_FULL, codes.SQLITE_CANTOPEN,
			codes.SQLITE_READONLY, codes.SQLITE_NOMEM, codes.SQLITE_PROTOCOL:
		default:
			return err
		}
	}
	return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
}
