package sqlite

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/ledgertest"
)

func TestALedgerOfAnEarlierVersionIsBroughtUpToDate(t *testing.T) {
	for _, version := range []int64{1, 2, 3} {
		t.Run(fmt.Sprint(version), func(t *testing.T) { upgrade(t, version) })
	}
}

func upgrade(t *testing.T, version int64) {
	// Given a ledger as that version left it
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := opened(t, path)
	first := ledger.Batch{To: domain.CheckpointAt(position(100)), Entries: ledgertest.Varied(entriesFrom(1, 100, 5))}
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
	if _, err := provider.DownTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// When it is opened
	l = opened(t, path)
	// Then all that was there is found, and what comes goes in, into it and into a copy
	ledgertest.Upgraded(t, l, first, ledger.Batch{From: domain.CheckpointAt(position(100)), To: domain.CheckpointAt(position(200)), Entries: entriesFrom(101, 100, 5)})
	ledgertest.Rebuilt(t, l, position(200), entriesFrom(1, 200, 5))
}
