package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/ledgertest"
)

func place(t *testing.T) func(context.Context) (ledgertest.Ledger, error) {
	path := filepath.Join(t.TempDir(), "data", "ledger.db")
	return func(ctx context.Context) (ledgertest.Ledger, error) { return Open(ctx, path) }
}

func TestLedger(t *testing.T) { ledgertest.Run(t, place) }

func opened(t *testing.T, path string) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func position(n uint64) domain.Position { return domain.Position{Commit: n, Prepare: n} }

func TestNobodyElseMayReadTheFiles(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", "b")
	l := opened(t, filepath.Join(folder, "ledger.db"))
	if err := l.Apply(t.Context(), ledger.Batch{To: domain.CheckpointAt(position(1))}); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.WalkDir(filepath.Dir(folder), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
		if !d.IsDir() {
			files++
		}
		return err
	})
	if err != nil || files < 2 {
		t.Errorf("%d files, %v; want the database and its write-ahead log", files, err)
	}
}

func TestAFileMayBeCalledAnything(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "50% of a?b#c&mode=memory ü")
	path := filepath.Join(folder, "ledger;1?.db")
	if err := opened(t, path).Apply(t.Context(), ledger.Batch{To: domain.CheckpointAt(position(7))}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	if at, err := opened(t, path).Checkpoint(t.Context()); err != nil || at.Position != position(7) {
		t.Errorf("it is at %s, %v", at, err)
	}
}

func TestManyMayOpenANewFileAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	// More than there are migrations: each of them may come between another's check and change.
	ledgers, errs := make([]*Ledger, 24), make([]error, 24)
	var wait sync.WaitGroup
	for i := range ledgers {
		wait.Go(func() { ledgers[i], errs[i] = Open(t.Context(), path) })
	}
	wait.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("opening it as number %d: %v", i, err)
			continue
		}
		if err := ledgers[i].Apply(t.Context(), ledger.Batch{From: domain.CheckpointAt(position(uint64(i))), To: domain.CheckpointAt(position(uint64(i + 1)))}); err != nil {
			t.Errorf("number %d: %v", i, err)
		}
	}
	for _, l := range ledgers {
		if l != nil {
			_ = l.Close()
		}
	}
}

func TestAMigrationGoesInOnce(t *testing.T) {
	l := opened(t, filepath.Join(t.TempDir(), "ledger.db"))
	if _, err := l.writer.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (1, 1)`); err == nil {
		t.Error("it went in twice")
	}
}

func TestApplyWakesTheReadersOfItsProcess(t *testing.T) {
	l := opened(t, filepath.Join(t.TempDir(), "ledger.db"))
	_, moved := l.progress.Current()
	if err := l.Apply(t.Context(), ledger.Batch{To: domain.CheckpointAt(position(5))}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-moved:
	default:
		t.Error("nobody was woken")
	}
	if at, _ := l.progress.Current(); at != position(5) {
		t.Errorf("it is known to be at %s", at)
	}
}

func TestOpenRefuses(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "letter.txt")
	if err := os.WriteFile(file, []byte(strings.Repeat("Dear customer, ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"a folder":               folder,
		"a file that is no such": file,
		"a file below a file":    filepath.Join(file, "ledger.db"),
	} {
		t.Run(name, func(t *testing.T) {
			l, err := Open(t.Context(), path)
			if err == nil {
				_ = l.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), path) {
				t.Errorf("the error does not name the file: %v", err)
			}
		})
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(text), "Dear customer, Dear") || len(text) != 15000 {
		t.Errorf("the letter was changed: %d bytes, %v", len(text), err)
	}
}

func TestAFullDiskIsUnavailableAndLeavesNoTrace(t *testing.T) {
	l := opened(t, filepath.Join(t.TempDir(), "ledger.db"))
	if err := l.Apply(t.Context(), ledger.Batch{To: domain.CheckpointAt(position(500)), Entries: entriesFrom(1, 500, 100)}); err != nil {
		t.Fatal(err)
	}
	b := ledger.Batch{From: domain.CheckpointAt(position(500)), To: domain.CheckpointAt(position(5000)), Entries: entriesFrom(501, 4500, 100)}
	// A limit on the file's pages is how SQLite itself stands in for a disk without room.
	if _, err := l.writer.ExecContext(t.Context(), `PRAGMA max_page_count = 100`); err != nil {
		t.Fatal(err)
	}
	if err := l.Apply(t.Context(), b); !errors.Is(err, domain.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	if at, err := l.Checkpoint(t.Context()); err != nil || at.Position != position(500) {
		t.Fatalf("it is at %s, %v", at, err)
	}
	if _, err := l.writer.ExecContext(t.Context(), `PRAGMA max_page_count = 1000000`); err != nil {
		t.Fatal(err)
	}
	if err := l.Apply(t.Context(), b); err != nil {
		t.Fatalf("with room again: %v", err)
	}
}

func TestAWriterThatHoldsTheFileTooLongIsUnavailable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	l, other := opened(t, path), opened(t, path)
	tx, err := other.writer.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.writer.ExecContext(t.Context(), `PRAGMA busy_timeout = 10`); err != nil {
		t.Fatal(err)
	}
	if err := l.Apply(t.Context(), ledger.Batch{To: domain.CheckpointAt(position(1))}); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if _, _, err := l.Account(t.Context(), "anna"); err != nil {
		t.Errorf("a reader beside it: %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := l.Apply(t.Context(), ledger.Batch{To: domain.CheckpointAt(position(1))}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestQueriesUseTheirIndexes(t *testing.T) {
	l := opened(t, filepath.Join(t.TempDir(), "ledger.db"))
	for _, c := range []struct {
		query     string
		arguments int
		wants     []string
	}{
		{selectTrail, 11, []string{
			"SEARCH e USING INTEGER PRIMARY KEY (rowid=?)",
			"USING INDEX sqlite_autoindex_entries_2 (commit_position=? AND prepare_position=?)",
			"SEARCH a USING PRIMARY KEY (customer=?)",
		}},
		{selectAccount, 1, []string{"SEARCH a USING PRIMARY KEY (customer=?)"}},
		{selectEntry, 2, []string{"USING INDEX sqlite_autoindex_entries_1 (event_id=?)"}},
		{selectFound, 3, []string{
			"SEARCH main.accounts USING PRIMARY KEY (customer=?)",
			"SEARCH e USING INDEX entries_order (<expr>=? AND order_id=?)",
			"SEARCH e USING INDEX entries_return (<expr>=? AND return_id=?)",
			"SEARCH e USING INDEX entries_loyalty (<expr>=? AND loyalty_id=?)",
		}},
		{selectBucket, 1, []string{"USING COVERING INDEX accounts_drawer (drawer=?)"}},
	} {
		rows, err := l.readers.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+c.query, make([]any, c.arguments)...)
		if err != nil {
			t.Fatal(err)
		}
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, detail)
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(plan, "\n")
		for _, want := range c.wants {
			if !strings.Contains(text, want) || strings.Contains(text, "SCAN e") || strings.Contains(text, "SCAN a") {
				t.Errorf("%s\nis planned as\n%s\nwant\n%s", c.query, text, want)
			}
		}
	}
}

func TestTimesBeyondTheOrdinaryAreKept(t *testing.T) {
	for _, when := range []time.Time{{}, time.Unix(0, 0), time.Unix(-1, 999_999_000), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)} {
		l := opened(t, filepath.Join(t.TempDir(), "ledger.db"))
		b := ledger.Batch{To: domain.CheckpointAt(position(1)), AsOf: when, Entries: entriesFrom(1, 1, 1)}
		b.Entries[0].OccurredAt = when
		if err := l.Apply(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		page, err := l.Trail(t.Context(), b.Entries[0].Customer, ledger.Filter{}, "", 1)
		if err != nil || !page.AsOf.Equal(when) || !page.Entries[0].OccurredAt.Equal(when) {
			t.Errorf("%s came back as %+v, %v", when, page, err)
		}
	}
}
