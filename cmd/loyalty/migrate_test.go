package main

import (
	"path/filepath"
	"strings"
	"testing"

	"loyalty/internal/cli"
	"loyalty/readmodels/ledger/postgres/postgrestest"
)

func TestMigrateMakesALedgerOnceAndCanBeRepeated(t *testing.T) {
	for name, connection := range map[string]string{
		"SQLite": "sqlite:" + filepath.Join(t.TempDir(), "ledger.sqlite"), "Postgres": postgrestest.Start(t).URL(),
	} {
		for range 2 {
			stdout, stderr, status := runProgram(t, "migrate", "--ledger", connection)
			if status != cli.ExitOK || !strings.HasPrefix(stdout, "The ledger's schema is up to date. That took ") || stderr != "" {
				t.Errorf("%s: it exits with %d and prints %q, %q", name, status, stdout, stderr)
			}
		}
	}
}

func TestMigrateNeedsALedger(t *testing.T) {
	for _, args := range [][]string{{"migrate"}, {"migrate", "--ledger", "sqlite:"}} {
		if _, stderr, status := runProgram(t, args...); status != cli.ExitUsage || stderr == "" {
			t.Errorf("%v: exits with %d: %s", args, status, stderr)
		}
	}
	if _, stderr, status := runProgram(t, "migrate", "--data", t.TempDir()); status != cli.ExitFailed || !strings.Contains(stderr, "is no data folder of loyalty") {
		t.Errorf("a folder that is none: exits with %d: %s", status, stderr)
	}
}
