package app

import (
	"context"
	"log/slog"
	"time"
)

const (
	// migrationRetry is the pause after a migration that failed.
	migrationRetry = time.Second
	// migrationReport is how often a migration under way is logged.
	migrationReport = 10 * time.Second
)

// migrateLedger brings the ledger's schema up to date, and tries for as long as it takes: the ledger may be away, or a DBA may have to grant
// something. It returns false if ctx ends before.
func migrateLedger(ctx context.Context, l ledgerStore, log *slog.Logger) bool {
	for {
		reported := time.Now()
		err := l.Migrate(ctx, func(doing string, done, total uint64) {
			if now := time.Now(); now.Sub(reported) >= migrationReport {
				reported = now
				log.Info("the ledger's schema is being migrated", "doing", doing, "done", done, "of", total)
			}
		})
		if err == nil || ctx.Err() != nil {
			return err == nil
		}
		log.Warn("the ledger's schema can't be brought up to date yet", "error", err)
		if !pause(ctx, migrationRetry) {
			return false
		}
	}
}
