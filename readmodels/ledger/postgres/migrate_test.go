package postgres

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/stdlib"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/ledgertest"
	"loyalty/readmodels/ledger/postgres/postgrestest"
)

func TestALedgerOfAnEarlierVersionIsBroughtUpToDate(t *testing.T) {
	for _, version := range []int64{1, 2, 3, 4, 5, 6, 7, 8} {
		t.Run(fmt.Sprint(version), func(t *testing.T) { upgrade(t, version) })
	}
}

func upgrade(t *testing.T, version int64) {
	// Given a ledger as that version left it
	address := postgrestest.Shared(t).URL()
	l := opened(t, address)
	first := ledger.Batch{To: domain.CheckpointAt(position(100)), Entries: ledgertest.Varied(entriesFrom(1, 100, 5))}
	for i := 10; i < len(first.Entries); i++ {
		first.Entries[i].OccurredAt = first.Entries[i].OccurredAt.AddDate(0, i/10, 0)
	}
	if err := l.Apply(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*l.pool.Config().ConnConfig)
	defer db.Close()
	provider, err := l.tables().Provider(db, func(string, uint64, uint64) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.DownTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	// When it is opened, while a process that has opened it before still has it open
	newer := opened(t, address)
	// Then all that was there is found, and what comes goes in, into it and into a copy
	ledgertest.Upgraded(t, newer, first, ledger.Batch{From: domain.CheckpointAt(position(100)), To: domain.CheckpointAt(position(200)), Entries: entriesFrom(101, 100, 5)})
	ledgertest.Rebuilt(t, newer, position(200), entriesFrom(1, 200, 5))
}
