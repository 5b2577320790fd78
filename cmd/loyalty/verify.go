package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"loyalty/projections"
)

// verifyCommand compares the read models with the log.
type verifyCommand struct {
	storeFlags
	Patience time.Duration `help:"How long to wait for a read model that lags behind the log." default:"30s"`
	List     int           `help:"The most customers to list, of those that differ." default:"20" placeholder:"N"`
	JSON     bool          `name:"json" help:"Print one line of JSON."`
}

// Help is shown with the command's flags.
func (verifyCommand) Help() string {
	return `Folds the whole log in memory and compares every customer's total in the ledger and in the leaderboard with it, each at the
position it stands at, while the system goes on. The digest is that of the state at that position: whoever folds the same
log has the same. The exit status is 1 if a customer differs. "loyalty rebuild" puts it right.

  loyalty verify --data loyalty-data`
}

type verifyReport struct {
	Events   uint64                `json:"events"`
	Findings []projections.Finding `json:"findings"`
}

// Run prints what was found, and fails if something differs.
func (c verifyCommand) Run(ctx context.Context, std streams) (err error) {
	s, err := c.storeFlags.open(ctx, wanted{ledger: true, leaderboard: true})
	defer func() { err = errors.Join(err, s.close(context.WithoutCancel(ctx))) }()
	if err != nil {
		return err
	}
	if err := c.storeFlags.catchUp(ctx, s); err != nil {
		return err
	}
	progress := newProgress(std.err, time.Now)
	audit := projections.Audit{Patience: c.Patience, Listed: c.List, Progress: progress.at}
	fold := projections.NewFold(s.store)
	var report verifyReport
	found, err := fold.VerifyLedger(ctx, s.ledger, audit)
	if err != nil {
		return progress.end(err)
	}
	report.Findings = append(report.Findings, found)
	if s.shared != nil {
		proxies, err := c.storeFlags.proxies()
		if err != nil {
			return progress.end(err)
		}
		found, err := fold.VerifyLeaderboard(ctx, s.shared, proxies, audit)
		if err != nil {
			return progress.end(err)
		}
		report.Findings = append(report.Findings, found)
	}
	report.Events = fold.Events()
	if err := progress.end(c.print(std.out, report, s.shared != nil)); err != nil {
		return err
	}
	for _, found := range report.Findings {
		if found.Drifted > 0 {
			return fmt.Errorf("the %s differs from the log for %d customers: fold it anew with loyalty rebuild %[1]s", found.ReadModel, found.Drifted)
		}
	}
	return nil
}

func (c verifyCommand) print(out io.Writer, report verifyReport, shared bool) error {
	if c.JSON {
		return printJSON(out, report)
	}
	rows := [][]any{{"READ MODEL", "POSITION", "CUSTOMERS", "DIFFER", "DIGEST"}}
	for _, f := range report.Findings {
		rows = append(rows, []any{f.ReadModel, f.Position, f.Customers, f.Drifted, f.Digest})
	}
	if err := printTable(out, rows...); err != nil {
		return err
	}
	if !shared {
		fmt.Fprintln(out, "The leaderboard is in each process's memory, loaded from the ledger when it starts: there is nothing stored to compare.")
	}
	for _, f := range report.Findings {
		if len(f.Drifts) == 0 {
			continue
		}
		rows := [][]any{{"\nCUSTOMER", "THE LOG SAYS", "THE " + f.ReadModel + " SAYS"}}
		for _, d := range f.Drifts {
			rows = append(rows, []any{d.Customer, total(d.Log), total(d.ReadModel)})
		}
		if err := printTable(out, rows...); err != nil {
			return err
		}
	}
	return nil
}

func total(t *projections.DriftTotal) string {
	if t == nil {
		return "nothing"
	}
	if t.Forgotten {
		return "forgotten"
	}
	text := fmt.Sprintf("%d since %s", t.Points, t.ReachedAt.Format(time.RFC3339))
	if t.Acts > 0 {
		text += ", with " + count(uint64(t.Acts), "act", "acts") + " of support"
	}
	return text
}
