package projections_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"loyalty/domain"
	"loyalty/projections"
	"loyalty/readmodels/leaderboard/memory"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/postgres/postgrestest"
)

// startAccountsVariable is how many accounts the ledger of BenchmarkStart holds. The mission's are 50000000.
const startAccountsVariable = "LOYALTY_BENCH_START_ACCOUNTS"

// fillAccounts makes accounts whose customers came in another order than that of their ids, with totals around 40 points.
const fillAccounts = `ALTER TABLE ledger.accounts DROP CONSTRAINT accounts_pkey;
	INSERT INTO ledger.accounts (customer, points, reached_at, entries, drawer, commit_position, prepare_position, month)
		SELECT 'c_' || lpad(n::text, 8, '0') || '-' || lpad(to_hex(n * 7919 %% 16777215), 6, '0'), exp(3.4 + 1.1 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()))::bigint,
			'2026-11-30'::timestamptz - random() * interval '1 year', 10, 1 + n %% 4096, 1, 1, 0
		FROM (SELECT n FROM generate_series(0::bigint, %d - 1) n ORDER BY hashint8extended(n, 7)) n;
	ALTER TABLE ledger.accounts ADD CONSTRAINT accounts_pkey PRIMARY KEY (customer);
	UPDATE ledger.state SET n = n + 1, commit_position = 1, prepare_position = 1`

// BenchmarkStart loads a leaderboard in memory from a ledger in Postgres on the same machine, whose accounts the server makes itself. It tells how long
// that reads, how long it then puts in order, and both.
func BenchmarkStart(b *testing.B) {
	accounts := 300_000
	if text := os.Getenv(startAccountsVariable); text != "" {
		var err error
		if accounts, err = strconv.Atoi(text); err != nil || accounts < 1 {
			b.Fatalf("%s=%s must be a number from 1 on", startAccountsVariable, text)
		}
	}
	address := postgrestest.Start(b, "shared_buffers=4GB", "fsync=off", "synchronous_commit=off", "max_wal_size=8GB", "maintenance_work_mem=1GB", "work_mem=512MB").URL()
	l := openPostgres(b, address)
	connection, err := pgx.Connect(b.Context(), address)
	if err != nil {
		b.Fatal(err)
	}
	defer connection.Close(b.Context())
	began := time.Now()
	for _, statement := range append(strings.Split(fmt.Sprintf(fillAccounts, accounts), ";"), "VACUUM (ANALYZE, FREEZE) ledger.accounts") {
		if _, err := connection.Exec(b.Context(), statement); err != nil {
			b.Fatalf("%.60s: %v", statement, err)
		}
	}
	b.Logf("%d accounts were made in %s", accounts, time.Since(began).Round(time.Second))
	var reading, ordering, sum time.Duration
	for b.Loop() {
		var said bytes.Buffer
		board := memory.New()
		var read time.Duration
		began := time.Now()
		projection := projections.Leaderboard{Writer: board, Accounts: timed{l, &read}, Proxies: testProxies(b), Logger: slog.New(slog.NewTextHandler(&said, nil)), Now: time.Now}
		if _, err := projection.Checkpoint(b.Context()); err != nil {
			b.Fatal(err)
		}
		took := time.Since(began)
		if !strings.Contains(said.String(), fmt.Sprintf("is loaded\" customers=%d", accounts)) {
			b.Fatal(said.String())
		}
		reading, ordering, sum = reading+read, ordering+took-read, sum+took
	}
	b.ReportMetric(reading.Seconds()/float64(b.N), "reading-s")
	b.ReportMetric(ordering.Seconds()/float64(b.N), "ordering-s")
	b.ReportMetric(sum.Seconds()/float64(b.N), "total-s")
	b.ReportMetric(0, "ns/op")
}

// timed tells how long all accounts are read.
type timed struct {
	ledger.Reader
	took *time.Duration
}

func (l timed) Accounts(ctx context.Context, yield func(ledger.Piece) error) (ledger.Snapshot, error) {
	began := time.Now()
	defer func() { *l.took = time.Since(began) }()
	return l.Reader.Accounts(ctx, yield)
}

func (timed) Checkpoint(context.Context) (domain.Checkpoint, error) { return domain.Checkpoint{}, nil }
