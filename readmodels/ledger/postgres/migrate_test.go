package postgres

import (
	"context"
	"io/fs"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/ledgertest"
	"loyalty/readmodels/ledger/postgres/postgrestest"
)

func TestALedgerOfTheVersionBeforeIsBroughtUpToDate(t *testing.T) {
	// Given a ledger as the version before left it
	address := postgrestest.Shared(t).URL()
	l := opened(t, address)
	first := ledger.Batch{To: position(100), Entries: entriesFrom(1, 100, 5)}
	for i := range first.Entries {
		first.Entries[i].OccurredAt = first.Entries[i].OccurredAt.AddDate(0, i/10, 0)
	}
	if err := l.Apply(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*l.pool.Config().ConnConfig, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SET search_path = "+l.schema)
		return err
	}))
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.DownTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	// When it is opened, while a process of the version before still has it open
	newer := opened(t, address)
	// Then all that was there is found
	ledgertest.Upgraded(t, newer, first)
	// And what comes goes in, into it and into a copy
	if err := newer.Apply(t.Context(), ledger.Batch{From: position(100), To: position(200), Entries: entriesFrom(101, 100, 5)}); err != nil {
		t.Fatal(err)
	}
	ledgertest.Rebuilt(t, newer, domain.Position{Commit: 200, Prepare: 200}, entriesFrom(1, 200, 5))
}
