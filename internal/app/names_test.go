package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// Given a ledger that an earlier version of the program kept, whose checkpoint doesn't say whose names it has
// When a process with another secret opens it, such as one that reads the same text in another way
// Then it refuses, and with the ledger's secret it doesn't.
func TestALedgerOfAnEarlierVersionTellsWhoseNamesItHas(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	text := "3b1e6a0c9d27f84512cd7be09a6f3418e57d02cb96a1f4387be0c5d219684fa3"
	asText, err := domain.NewProxies([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := domain.NewProxies([]byte(text[:32]))
	if err != nil {
		t.Fatal(err)
	}
	l, err := OpenLedger(ctx, SQLiteScheme+filepath.Join(t.TempDir(), "ledger.sqlite"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if err := l.Migrate(ctx, func(string, uint64, uint64) {}); err != nil {
		t.Fatal(err)
	}
	s := Stores{Ledger: l}
	if known, err := s.CheckNames(ctx, decoded); known || err != nil {
		t.Errorf("an empty ledger: %v, %v", known, err)
	}
	batch := ledger.Batch{}
	for n := range uint64(5) {
		customer := domain.CustomerID(fmt.Sprint("c-", n))
		at := domain.Position{Commit: n + 1, Prepare: n + 1}
		batch.To = domain.CheckpointAt(at)
		batch.Entries = append(batch.Entries, ledger.Entry{
			EventID: fmt.Sprintf("00000000-0000-4000-8000-%012d", n), Customer: customer, Kind: ledger.Award, Points: 1, OccurredAt: time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC),
			Position: at, Stream: fmt.Sprint("order-", n), Order: domain.OrderID(fmt.Sprint("o-", n)), Amount: domain.Money{Minor: 1000, Currency: "GBP"},
			Channel: domain.Website, Bucket: ledger.BucketOf(asText.Key(customer).Name()),
		})
	}
	if err := l.Apply(ctx, batch); err != nil {
		t.Fatal(err)
	}
	if known, err := s.CheckNames(ctx, asText); known || err != nil {
		t.Errorf("with its secret: %v, %v", known, err)
	}
	if _, err := s.CheckNames(ctx, decoded); !errors.Is(err, domain.ErrOtherNames) || !strings.Contains(err.Error(), "text: before it") {
		t.Errorf("with another secret: %v", err)
	}
}
