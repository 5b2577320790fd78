package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"loyalty/eventstore"
	"loyalty/internal/app"
	"loyalty/internal/cli/flags"
	"loyalty/internal/cli/output"
	"loyalty/internal/english"
	"loyalty/projections"
	"loyalty/readmodels/ledger"
)

// verifyCommand compares the read models with the log.
type verifyCommand struct {
	flags.Stores
	Timeout time.Duration `name:"patience" help:"How long to wait for a read model that lags behind the log." default:"30s"`
	List    int           `help:"The most customers to list, and the most hours, of those that differ." default:"20" placeholder:"N"`
	JSON    bool          `name:"json" help:"Print one line of JSON."`
}

// Help is shown with the command's flags.
func (verifyCommand) Help() string {
	return `Folds the whole log in memory and compares every customer's total in the ledger and in the leaderboard with it, each at the
position it stands at, while the system goes on, and in the ledger what was earned by the hour. The digest is that of the customers
at that position: whoever folds the same log has the same. The exit status is 1 if anything differs. "loyalty rebuild" puts it right.

  loyalty verify --data loyalty-data`
}

type VerifyReport struct {
	Events   uint64                `json:"events"`
	Findings []projections.Finding `json:"findings"`
	// Quarantined are the events that count for nobody.
	Quarantined []eventstore.Quarantined `json:"quarantined,omitempty"`
}

// Run prints what was found, and fails if something differs.
func (c verifyCommand) Run(ctx context.Context, std output.Streams) (err error) {
	s, err := c.Stores.Open(ctx, app.Wanted{Ledger: true, Leaderboard: true})
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	if err != nil {
		return err
	}
	if err := c.Stores.CatchUp(ctx, s); err != nil {
		return err
	}
	progress := output.NewProgress(std.Err, time.Now)
	options := projections.CompareOptions{Timeout: c.Timeout, MaxDrifts: c.List, Progress: progress.Update}
	fold := projections.NewFold(s.Store)
	var report VerifyReport
	found, err := fold.VerifyLedger(ctx, s.Ledger, options)
	if err != nil {
		return progress.End(err)
	}
	report.Findings = append(report.Findings, found)
	if s.Shared != nil {
		proxies, err := c.Stores.ProxiesOf(ctx, s)
		if err != nil {
			return progress.End(err)
		}
		found, err := fold.VerifyLeaderboard(ctx, s.Shared, proxies, options)
		if err != nil {
			return progress.End(err)
		}
		report.Findings = append(report.Findings, found)
	}
	report.Events = fold.Events()
	log, err := s.Store.Log(ctx)
	if err != nil {
		return progress.End(err)
	}
	report.Quarantined = log.Quarantined
	if err := progress.End(c.print(std.Out, report, s.Shared != nil)); err != nil {
		return err
	}
	for _, found := range report.Findings {
		if found.Differs() {
			return fmt.Errorf("the %s differs from the log %s: fold it anew with loyalty rebuild %[1]s", found.ReadModel, differing(found))
		}
	}
	return nil
}

func (c verifyCommand) print(out io.Writer, report VerifyReport, shared bool) error {
	if c.JSON {
		return output.JSON(out, report)
	}
	rows := [][]any{{"READ MODEL", "POSITION", "CUSTOMERS", "DIFFER", "HOURS DIFFER", "DIGEST"}}
	for _, f := range report.Findings {
		rows = append(rows, []any{f.ReadModel, f.Position, f.Customers, f.Drifted, f.EarningsDrifted, f.Digest})
	}
	if err := output.Table(out, rows...); err != nil {
		return err
	}
	if !shared {
		fmt.Fprintln(out, "The leaderboard is in each process's memory, loaded from the ledger when it starts: there is nothing stored to compare.")
	}
	if n := len(report.Quarantined); n > 0 {
		fmt.Fprintf(out, "%s quarantined and counts for nobody: loyalty quarantine lists what.\n", english.Count(uint64(n), "event is", "events are"))
	}
	for _, f := range report.Findings {
		var customers, hours [][]any
		for _, d := range f.Drifts {
			customers = append(customers, []any{d.Customer, total(d.Log), total(d.ReadModel)})
		}
		for _, d := range f.EarningDrifts {
			hours = append(hours, []any{d.Log.At.Format("2006-01-02T15Z"), cmp.Or(string(d.Log.Channel), "by hand"), earned(d.Log), earned(d.ReadModel)})
		}
		sides := []any{"THE LOG SAYS", "THE " + f.ReadModel + " SAYS"}
		if err := errors.Join(printDrifts(out, customers, append([]any{"\nCUSTOMER"}, sides...)),
			printDrifts(out, hours, append([]any{"\nHOUR", "CHANNEL"}, sides...))); err != nil {
			return err
		}
	}
	return nil
}

func printDrifts(out io.Writer, drifts [][]any, head []any) error {
	if len(drifts) == 0 {
		return nil
	}
	return output.Table(out, slices.Insert(drifts, 0, head)...)
}

// differing says for how many customers and hours a read model differs from the log.
func differing(f projections.Finding) string {
	var where []string
	if f.Drifted > 0 {
		where = append(where, "for "+english.Count(uint64(f.Drifted), "customer", "customers"))
	}
	if f.EarningsDrifted > 0 {
		where = append(where, "in what was earned in "+english.Count(uint64(f.EarningsDrifted), "hour of a channel", "hours of a channel"))
	}
	return strings.Join(where, " and ")
}

func earned(e ledger.Earning) string {
	return fmt.Sprintf("%+d in %s, %+d in %s, %+d in %s", e.Awarded, english.Count(uint64(e.Awards), "award", "awards"),
		e.Reversed, english.Count(uint64(e.Reversals), "reversal", "reversals"), e.Adjusted, english.Count(uint64(e.Adjustments), "adjustment", "adjustments"))
}

func total(t *projections.DriftTotal) string {
	if t == nil {
		return "nothing"
	}
	if t.Forgotten {
		return "forgotten"
	}
	text := fmt.Sprintf("%d since %s", t.Points, t.ReachedAt.Format(time.RFC3339))
	if t.AuditRecords > 0 {
		text += ", with " + english.Count(uint64(t.AuditRecords), "act", "acts") + " of support"
	}
	return text
}
