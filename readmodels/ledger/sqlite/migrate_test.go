package sqlite

import (
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/ledgertest"
)

func TestALedgerOfTheVersionBeforeIsBroughtUpToDate(t *testing.T) {
	// Given a ledger as the version before left it
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := opened(t, path)
	first := ledger.Batch{To: position(100), Entries: entriesFrom(1, 100, 5)}
	if err := l.Apply(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, l.writer, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.DownTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// When it is opened
	l = opened(t, path)
	// Then all that was there is found
	ledgertest.Upgraded(t, l, first)
	// And what comes goes in, into it and into a copy
	if err := l.Apply(t.Context(), ledger.Batch{From: position(100), To: position(200), Entries: entriesFrom(101, 100, 5)}); err != nil {
		t.Fatal(err)
	}
	ledgertest.Rebuilt(t, l, domain.Position{Commit: 200, Prepare: 200}, entriesFrom(1, 200, 5))
}
