package analyst

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"loyalty/analytics/export"
	"loyalty/analytics/replay"
	"loyalty/domain"
	"loyalty/internal/app"
	"loyalty/internal/cli/flags"
	"loyalty/internal/cli/output"
	"loyalty/internal/english"
)

// Replay is the command "replay": the history folded again, as of a time or under another policy.
type Replay struct {
	Data       app.Folder `help:"Data folder of loyalty dev, running or not, instead of the connection below." placeholder:"DIR"`
	Eventstore string     `help:"Where the events are: esdb://… for a cluster, embedded:DIR for a store in a folder." env:"LOYALTY_EVENTSTORE" placeholder:"URL"`
	flags.Proxy
	FromExport string `help:"Fold a Parquet export in this folder instead of the event store." placeholder:"DIR"`
	Until      string `help:"As of this time, or the end of this day, or this position." placeholder:"T"`
	Policy     string `help:"What would have been awarded under the policy in this file." placeholder:"FILE"`
	By         string `help:"Break down by channel, month or currency." placeholder:"WHAT"`
	Top        int    `help:"How many of the best to list." default:"10" placeholder:"N"`
	Digest     bool   `help:"Print the digests of the ledger and the leaderboard."`
	Format     string `help:"table, json, csv or parquet; the last two are the whole leaderboard, or with --by the breakdown." default:"table" placeholder:"FORMAT"`
	Out        string `help:"File to write to, instead of standard output." placeholder:"FILE"`
	JSON       bool   `name:"json" help:"The same as --format json: one line."`
}

// Help is shown with the command's flags.
func (Replay) Help() string {
	return `Folds the events in memory and touches nothing that is live. A time stands for everything before the first event that the store
stored later than it. A policy file may say

  id: double-autumn
  spendPerPoint: {GBP: 500, EUR: 575}    # minor units; what has none earns nothing
  rounding: nearest                      # or down, up, half-even
  minimum: {GBP: 500}                    # smaller orders earn nothing
  multipliers:                           # of those that match an order, the largest
    - {channel: mobile, from: 2026-10-01, until: 2026-11-01, factor: "1.5"}
  pointValue: 1                          # minor units, for the liability

Sums, breakdowns and ranks need no secret: without LOYALTY_PROXY_SECRET, or --data, names are left out. --digest needs it.

Returns take back what the same order was given under that policy, and adjustments stay as they were.

  loyalty replay --data loyalty-data --until 2026-10-01T00:00Z
  loyalty replay --data loyalty-data --policy policy.yaml --by month
  loyalty replay --from-export history --policy policy.yaml --format parquet --out ranks.parquet
  loyalty replay --data loyalty-data --digest`
}

type ReplayReport struct {
	replay.Report
	Digest      *replay.Digests `json:"digest,omitempty"`
	OtherDigest *replay.Digests `json:"otherDigest,omitempty"`
}

// unitOf is what a progress counts: events, or how much of the log is passed.
func unitOf(doing string) func(uint64) string {
	if doing == replay.Replaying || doing == export.Exporting {
		return output.Events
	}
	return english.Grouped
}

// Run prints the results of the fold.
func (c Replay) Run(ctx context.Context, std output.Streams) (err error) {
	o, format, err := c.options()
	if err != nil {
		return flags.Usage(err)
	}
	if err := c.source(); err != nil {
		return err
	}
	proxies, err := c.proxies()
	if err != nil {
		return flags.Usage(err)
	}
	progress := output.NewProgress(std.Err, time.Now)
	o.Progress = func(doing string, done, total uint64) { progress.Show(doing, done, total, unitOf(doing)) }
	h, err := c.fold(ctx, o)
	switch err = progress.End(err); {
	case errors.Is(err, domain.ErrInvalid):
		return flags.Usage(err)
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("stopped at position %s, and nothing was written: run the same again, or with --until %[1]s to see how it stood there", h.Position())
	case err != nil:
		return err
	}
	board := h.Board(proxies)
	report := ReplayReport{}
	if report.Report, err = h.Report(board, c.Top); err != nil {
		return err
	}
	if c.Digest {
		digests := h.Digests(proxies)
		report.Digest = &digests
		if o.Policy != nil {
			digests := h.OtherDigests(proxies)
			report.OtherDigest = &digests
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	write := func(out io.Writer) error {
		both, parts := o.Policy != nil, o.By != replay.ByNothing
		switch {
		case format == replay.CSV && parts:
			return replay.WritePartsCSV(out, report.Parts, both)
		case format == replay.CSV:
			return replay.WriteCSV(out, board, both)
		case format == replay.Parquet && parts:
			return replay.WritePartsParquet(out, report.Parts, both)
		case format == replay.Parquet:
			return replay.WriteParquet(out, board, both)
		case format == replay.JSON:
			return output.JSON(out, report)
		}
		return report.print(out)
	}
	if c.Out == "" {
		return write(std.Out)
	}
	err = replay.WriteFile(c.Out, write)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("there is no room for %s, and nothing of it was left there: make room and run the same again (%w)", c.Out, err)
	}
	return err
}

// proxies makes the names; without a secret it is the zero Proxies, which makes none.
func (c Replay) proxies() (domain.Proxies, error) {
	switch {
	case c.Data != "" || c.ProxySecret != "":
		return flags.Stores{Data: c.Data, Proxy: c.Proxy}.Proxies()
	case c.Digest:
		return domain.Proxies{}, errors.New("--digest is of the leaderboard's names, too: set LOYALTY_PROXY_SECRET, or name a data folder with --data")
	}
	return domain.Proxies{}, nil
}

func (c Replay) options() (o replay.Options, format replay.Format, err error) {
	var errs [5]error
	if c.JSON {
		c.Format = string(replay.JSON)
	}
	o.Until, errs[0] = replay.ParseUntil("--until", c.Until)
	o.By, errs[1] = replay.ParseBy("--by", c.By)
	format, errs[2] = replay.ParseFormat("--format", c.Format)
	if c.Top < 0 || c.Top > maxTop {
		errs[3] = domain.Invalid("--top", "top_out_of_range", fmt.Sprintf("it must be 0 to %d; --format csv has everybody", maxTop))
	}
	if format == replay.Parquet && c.Out == "" {
		errs[4] = domain.Invalid("--out", "out_missing", "say which file to write the Parquet to")
	}
	if err := domain.JoinInvalid(errs[:]...); err != nil || c.Policy == "" {
		return o, format, err
	}
	text, err := os.ReadFile(c.Policy)
	if err == nil {
		o.Policy, err = replay.ParsePolicy(c.Policy, text)
	}
	return o, format, err
}

// maxTop bounds --top.
const maxTop = 10_000

// source returns a usage error if no events to fold are named.
func (c Replay) source() error {
	switch {
	case c.Data != "":
		if err := c.Data.Check(); err != nil {
			return flags.Usage(err)
		}
	case c.FromExport == "" && c.Eventstore == "":
		return flags.Usage(errors.New("which events? Name a data folder with --data or an export with --from-export, or set LOYALTY_EVENTSTORE"))
	}
	return nil
}

func (c Replay) fold(ctx context.Context, o replay.Options) (h *replay.History, err error) {
	if c.FromExport != "" {
		return replay.FromExport(ctx, c.FromExport, o)
	}
	connection := c.Eventstore
	if c.Data != "" {
		connection = c.Data.Connections().Eventstore
	}
	s, err := app.Connections{Eventstore: connection}.Open(ctx, app.Wanted{}, app.Quiet())
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	if err != nil {
		return &replay.History{}, err
	}
	return replay.FromLog(ctx, s.Store, o)
}

// print writes the report for people.
func (r ReplayReport) print(out io.Writer) error {
	as := "There are no events yet."
	if r.Events > 0 {
		as = fmt.Sprintf("As of position %s, stored at %s: %s, %s", r.Position, r.StoredAt.Format(time.RFC3339), english.Count(r.Events, "event", "events"), english.Count(uint64(r.Customers), "customer", "customers"))
		if r.Forgotten > 0 {
			as += fmt.Sprintf(" (%s forgotten: in the sums, not on the leaderboard)", english.Grouped(uint64(r.Forgotten)))
		}
		as += "."
	}
	if n := len(r.Quarantined); n > 0 {
		as += fmt.Sprintf(" %s quarantined and counts for nobody.", english.Count(uint64(n), "event is", "events are"))
	}
	if _, err := fmt.Fprintln(out, as); err != nil {
		return err
	}
	rows := [][]any{{"\n", "ORDERS", "RETURNS", "ADJUSTMENTS", "AWARDED", "REVERSED", "ADJUSTED", "OUTSTANDING"}, sumsRow("as it was", r.Totals)}
	if w := r.Policy; w != nil {
		rows = append(rows, sumsRow("under "+w.ID, w.Totals))
	}
	if err := output.Table(out, rows...); err != nil {
		return err
	}
	for _, print := range []func(io.Writer) error{r.printPolicy, r.printParts, r.printTop, r.printDigest} {
		if err := print(out); err != nil {
			return err
		}
	}
	return nil
}

func sumsRow(name string, s replay.Sums) []any {
	return []any{name, s.Orders, s.Returns, s.Adjustments, s.Awarded, s.Reversed, s.Adjusted, s.Net}
}

func (r ReplayReport) printPolicy(out io.Writer) error {
	w := r.Policy
	if w == nil {
		return nil
	}
	rows := [][]any{
		{"\nunder " + w.ID},
		{"difference", fmt.Sprintf("%+d points", w.Difference)},
		{"customers", fmt.Sprintf("%d up, %d down, %d the same", w.Up, w.Down, w.Same)},
		{"ranks move", fmt.Sprintf("by %d (median), %d (90 %%), %d (99 %%); at most %d up, %d down", w.Moves.Median, w.Moves.P90, w.Moves.P99, w.Moves.Up, w.Moves.Down)},
	}
	if w.Moves.Joined+w.Moves.Left > 0 {
		rows = append(rows, []any{"leaderboard", fmt.Sprintf("%d join, %d leave", w.Moves.Joined, w.Moves.Left)})
	}
	if l := w.Liability; l != nil {
		rows = append(rows, []any{"liability", fmt.Sprintf("%s instead of %s at %s a point: %s", domain.FormatMinor(l.Other), domain.FormatMinor(l.Actual), domain.FormatMinor(l.PointValue), domain.FormatMinor(l.Difference))})
	}
	if w.Unpriced > 0 {
		rows = append(rows, []any{"not priced", english.Count(uint64(w.Unpriced), "order in a currency", "orders in currencies") + " the policy does not have"})
	}
	return output.Table(out, rows...)
}

func (r ReplayReport) printParts(out io.Writer) error {
	if len(r.Parts) == 0 {
		return nil
	}
	heading := []any{"\n", "ORDERS", "RETURNS", "ADJUSTMENTS", "AWARDED", "REVERSED", "ADJUSTED", "NET"}
	if r.Policy != nil {
		heading = append(heading, "| AWARDED", "REVERSED", "ADJUSTED", "NET", "DIFFERENCE")
	}
	rows := [][]any{heading}
	for _, p := range r.Parts {
		row := sumsRow(cmp.Or(p.Name, "-"), p.Totals)
		if o := p.Other; o != nil {
			row = append(row, fmt.Sprintf("| %d", o.Awarded), o.Reversed, o.Adjusted, o.Net, fmt.Sprintf("%+d", o.Net-p.Totals.Net))
		}
		rows = append(rows, row)
	}
	return output.Table(out, rows...)
}

func (r ReplayReport) printTop(out io.Writer) error {
	if len(r.Top) == 0 && (r.Policy == nil || len(r.Policy.Top) == 0) {
		return nil
	}
	if r.Policy == nil {
		rows := [][]any{{"\nRANK", "NAME", "POINTS"}}
		for _, p := range r.Top {
			rows = append(rows, []any{p.Rank, cmp.Or(p.ProxyName, "-"), p.Points})
		}
		return output.Table(out, rows...)
	}
	rows := [][]any{{"\nRANK", "AS IT WAS", "POINTS", "THERE", "| UNDER " + r.Policy.ID, "POINTS", "WAS"}}
	for i := range max(len(r.Top), len(r.Policy.Top)) {
		row := []any{i + 1, "", "", "", "|"}
		if i < len(r.Top) {
			p := r.Top[i]
			row = []any{i + 1, cmp.Or(p.ProxyName, "-"), p.Points, rank(p.OtherRank), "|"}
		}
		if i < len(r.Policy.Top) {
			p := r.Policy.Top[i]
			row = append(row[:4], "| "+cmp.Or(p.ProxyName, "-"), *p.OtherPoints, rank(p.Rank))
		}
		rows = append(rows, row)
	}
	return output.Table(out, rows...)
}

// rank is a rank for a table, and a dash for none (0).
func rank(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func (r ReplayReport) printDigest(out io.Writer) error {
	if r.Digest == nil {
		return nil
	}
	rows := [][]any{{"\nDIGEST AT " + r.Position.String(), "AS IT WAS"}, {"ledger", r.Digest.Ledger}, {"leaderboard", r.Digest.Leaderboard}}
	if r.OtherDigest != nil {
		rows[0], rows[1], rows[2] = append(rows[0], "UNDER "+r.Policy.ID), append(rows[1], r.OtherDigest.Ledger), append(rows[2], r.OtherDigest.Leaderboard)
	}
	return output.Table(out, rows...)
}
