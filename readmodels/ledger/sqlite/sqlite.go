// Package sqlite keeps the ledger in one SQLite file, for a machine without a database server.
//
// One connection writes and several read. With the write-ahead log, readers and the writer never wait for each other. Other processes
// may open the same file if it is on a local disk; two writing processes take turns.
//
// A commit survives a crash of the process but is not synced to the disk (synchronous=NORMAL): a power cut may lose the last commits.
// That is safe, because a batch and its checkpoint are one transaction: what is lost is folded again from the log, which is synced.
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
	// prefix begins the names of the tables. It is empty but for a copy.
	prefix string
	// These are prepared on one of the two, and closed with it.
	checkpoint, outstanding, account, trail, accounts *sql.Stmt
	entry, found, bucket                              *sql.Stmt
	move, earn, audit, decide, forget                 *sql.Stmt
	upserts, inserts                                  preparedInsert
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

// Settings of all connections, of the writer's and of the readers'. A negative cache_size is in KiB. The write-ahead log is checkpointed
// every 16,384 pages of 4 KiB, not every 1,000: a batch of 1,000 entries writes about 2,000 pages, many of them the same as the batch
// before, and each is then copied into the file once for several batches. Statement journals stay in memory.
const (
	settings       = "mode=rw&_busy_timeout=10000&_pragma=temp_store(memory)"
	writerSettings = settings + "&_txlock=immediate&_journal_mode=WAL&_synchronous=NORMAL&_pragma=cache_size(-65536)" +
		"&_pragma=wal_autocheckpoint(16384)&_pragma=journal_size_limit(67108864)"
	readerSettings = settings + "&_query_only=1&_pragma=cache_size(-8192)"
)

// Open opens the ledger in the file at path. It creates the file (mode 0600), its folder (0700) and its schema where they are missing,
// and migrates the schema. Close the ledger after use.
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

// Migrate does nothing, since Open has migrated the schema. Only who may write the file can open it.
func (l *Ledger) Migrate(context.Context, func(doing string, done, total uint64)) error { return nil }

// create creates the file if there is none, so that it has its mode from the start. It never opens a file that exists: closing it would
// drop the POSIX locks that other connections of this process hold on it.
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

// migrate brings the schema up to date. It tries again after a failure, because another process may have migrated between its check and its
// change, once for each migration; each is a transaction and can be recorded only once (see migration_once). It gives up where the schema
// stands still.
func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	for reached, still := int64(0), 0; ; still++ {
		if _, err = provider.Up(ctx); err == nil || still == 3 {
			return err
		}
		if version, unknown := provider.GetDBVersion(ctx); unknown == nil && version > reached {
			reached, still = version, 0
		}
	}
}

// in puts the ledger's own tables into a statement.
func (l *Ledger) in(statement string) string {
	return strings.ReplaceAll(statement, "main.", "main."+l.prefix)
}

// prepare prepares every statement once. SQLite looks the tables up again by name when the schema has changed.
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
		{&l.audit, l.writer, insertAuditRecord},
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

// closeStatements closes the statements of a copy, whose connections stay open.
func (l *Ledger) closeStatements() error {
	var errs []error
	statements := []*sql.Stmt{l.checkpoint, l.outstanding, l.account, l.trail, l.accounts, l.entry, l.found, l.bucket, l.move, l.earn, l.audit, l.decide, l.forget}
	for _, s := range slices.Concat(statements, l.upserts.forms[:], l.inserts.forms[:]) {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// Close waits for running statements and closes the file. Every method then returns domain.ErrUnavailable.
func (l *Ledger) Close() error {
	var errs []error
	// The writer is last, because the last connection checkpoints the write-ahead log, for which it must be able to write.
	for _, db := range []*sql.DB{l.readers, l.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// classify wraps an error as domain.ErrUnavailable if a retry may succeed: all but the ledger's own errors, the end of the context, and
// SQLite's errors about the content (a constraint, a damaged file, a statement).
func classify(err error) error {
	for _, final := range []error{nil, domain.ErrInvalid, domain.ErrNotFound, domain.ErrCheckpointMoved, domain.ErrNotCaughtUp, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, final) {
			return err
		}
	}
	var failure *driver.Error
	if errors.As(err, &failure) {
		switch failure.Code() & 0xff {
		case codes.SQLITE_BUSY, codes.SQLITE_LOCKED, codes.SQLITE_IOERR, codes.SQLITE_FULL, codes.SQLITE_CANTOPEN,
			codes.SQLITE_READONLY, codes.SQLITE_NOMEM, codes.SQLITE_PROTOCOL:
		default:
			return err
		}
	}
	return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
}
