// Package analyst has the commands of analysts: replay and export.
package analyst

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"loyalty/analytics/export"
	"loyalty/domain"
	"loyalty/internal/app"
	"loyalty/internal/cli/flags"
	"loyalty/internal/cli/output"
	"loyalty/internal/english"
)

// Export is the command "export": the event history as files.
type Export struct {
	Data       app.Folder `help:"Data folder of loyalty dev, running or not, instead of the connection below." placeholder:"DIR"`
	Eventstore string     `help:"Where the events are: esdb://… for a cluster, embedded:DIR for a store in a folder." env:"LOYALTY_EVENTSTORE" placeholder:"URL"`
	Format     string     `help:"What the files are: parquet, csv or jsonl." default:"parquet" placeholder:"FORMAT"`
	Out        string     `help:"Folder to write to. It is made; an export that is in it already goes on." required:"" placeholder:"DIR"`
	From       string     `help:"Begin with this day, or at this time, or after this position." placeholder:"T"`
	To         string     `help:"End with this day, or before this time, or with this position." placeholder:"T"`
	Types      []string   `help:"Only events of these types." placeholder:"TYPE"`
	JSON       bool       `name:"json" help:"Print one line of JSON."`
}

// Help is shown with the command's flags.
func (Export) Help() string {
	return `A folder for each day, in UTC, on which the store stored the events, and in it one or more files; in the order of their names
they are in the order of the log. The same events give the same bytes. A file has its final name only when it is whole:
after Ctrl-C, a crash or a full disk, run the same again and it goes on. Later on the same command adds what is new.

  loyalty export --data loyalty-data --out history
  loyalty export --data loyalty-data --out october --format csv --from 2026-10-01 --to 2026-10-31 --types points-awarded.v1
  duckdb -c "SELECT type, count(*) FROM read_parquet('history/*/*.parquet') GROUP BY 1"

docs/analysts.md says what the columns mean, and has ten questions with their answers.`
}

type ExportReport struct {
	Out      string          `json:"out"`
	Events   uint64          `json:"events"`
	Files    int             `json:"files"`
	Bytes    int64           `json:"bytes"`
	After    domain.Position `json:"after"`
	Position domain.Position `json:"position"`
	Stopped  bool            `json:"stopped,omitempty"`
}

// Run prints what the folder has afterwards, also if it was interrupted.
func (c Export) Run(ctx context.Context, std output.Streams) (err error) {
	o, err := c.options()
	if err != nil {
		return flags.Usage(err)
	}
	connection := c.Eventstore
	if c.Data != "" {
		if err := c.Data.Check(); err != nil {
			return flags.Usage(err)
		}
		connection = c.Data.Connections().Eventstore
	}
	s, err := app.Connections{Eventstore: connection}.Open(ctx, app.Wanted{}, app.Quiet())
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	if err != nil {
		return err
	}
	progress := output.NewProgress(std.Err, time.Now)
	o.Progress = func(doing string, done, total uint64) { progress.Show(doing, done, total, unitOf(doing)) }
	m, err := export.Run(ctx, s.Store, o)
	stopped := err != nil && ctx.Err() != nil
	switch err = progress.End(err); {
	case errors.Is(err, domain.ErrInvalid):
		return flags.Usage(err)
	case stopped:
		err = fmt.Errorf("stopped at position %s, before the end: run the same again to go on from there", m.Position)
	case err != nil:
		return err
	}
	return errors.Join(c.print(std.Out, m, stopped), err)
}

func (c Export) options() (o export.Options, err error) {
	o.Dir = c.Out
	var errs [4]error
	o.Format, errs[0] = export.ParseFormat(c.Format)
	o.From, errs[1] = export.ParseBound("--from", c.From)
	o.To, errs[2] = export.ParseBound("--to", c.To)
	o.Types, errs[3] = export.ParseTypes(c.Types)
	return o, domain.JoinInvalid(errs[:]...)
}

func (c Export) print(out io.Writer, m export.Manifest, stopped bool) error {
	report := ExportReport{Out: c.Out, Events: m.Events, Files: len(m.Files), After: m.After, Position: m.Position, Stopped: stopped}
	for _, file := range m.Files {
		report.Bytes += file.Bytes
	}
	if c.JSON {
		return output.JSON(out, report)
	}
	_, err := fmt.Fprintf(out, "%s has %s up to position %s, in %s: %s.\n",
		c.Out, output.Events(m.Events), m.Position, english.Count(uint64(report.Files), "file", "files"), output.Size(uint64(report.Bytes)))
	return err
}
