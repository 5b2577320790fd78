package postgres

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"loyalty/readmodels/ledger/postgres/postgrestest"
)

// Given somebody who holds a snapshot, as a dump of hours does, so that no former version of a row can be removed
// When the ledger has moved 20,000 times since
// Then reading and moving its position look at a few pages, not at all versions
func TestALongSnapshotDoesNotSlowTheState(t *testing.T) {
	address := postgrestest.Shared(t).URL()
	l, dump := opened(t, address), opened(t, address)
	if err := l.Apply(t.Context(), stretch(0)); err != nil {
		t.Fatal(err)
	}
	tx, err := dump.pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), "SELECT count(*) FROM ledger.state"); err != nil {
		t.Fatal(err)
	}
	const moves = 20_000
	if _, err := l.pool.Exec(t.Context(), fmt.Sprintf(`DO $$ BEGIN FOR i IN 1..%d LOOP
		EXECUTE 'UPDATE ledger.state SET n = n + 1 WHERE n = (SELECT n FROM ledger.state ORDER BY n DESC LIMIT 1)'; -- planned each time, as a batch is
		IF i %% 1000 = 0 THEN COMMIT; END IF; END LOOP; END $$`, moves)); err != nil {
		t.Fatal(err)
	}
	if pages := pagesOf(t, l, "EXPLAIN (ANALYZE, BUFFERS) "+selectState); pages > 20 {
		t.Errorf("reading the position looks at %d pages", pages)
	}
	if pages := pagesOf(t, l, "EXPLAIN (ANALYZE, BUFFERS) UPDATE ledger.state SET n = n + 1 WHERE n = (SELECT n FROM ledger.state ORDER BY n DESC LIMIT 1)"); pages > 40 {
		t.Errorf("moving the position looks at %d pages", pages)
	}
}

var bufferHits = regexp.MustCompile(`shared hit=(\d+)`)

// pagesOf is how many pages a statement looks at, by its plan; its planning is not counted.
func pagesOf(t *testing.T, l *Ledger, explain string) (pages int) {
	t.Helper()
	found, err := l.pool.Query(t.Context(), explain, pgx.QueryExecModeExec)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range plan {
		if strings.HasPrefix(line, "Planning") {
			break
		}
		if hits := bufferHits.FindStringSubmatch(line); hits != nil {
			n, _ := strconv.Atoi(hits[1])
			pages = max(pages, n)
		}
	}
	if pages == 0 {
		t.Fatalf("no pages are in the plan:\n%s", strings.Join(plan, "\n"))
	}
	return pages
}
