package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"loyalty/eventstore/embedded"
	"loyalty/internal/app"
	"loyalty/internal/cli/flags"
	"loyalty/internal/cli/output"
	"loyalty/internal/english"
)

// eventstoreCommand has the commands for the event store itself: the embedded one of a data folder, and the right to read any.
type eventstoreCommand struct {
	Check  checkCommand  `cmd:"" help:"Verify the event store of a data folder, from end to end."`
	Backup backupCommand `cmd:"" help:"Copy the event store of a data folder, running or not, to a data folder of its own."`
	Grant  grantCommand  `cmd:"" help:"Let a user of a secured event store read the whole log, as this program must."`
}

// checkCommand verifies the event store of a process that has stopped.
type checkCommand struct {
	Data app.Folder `help:"Data folder whose event store is verified." default:"${data}" placeholder:"DIR"`
	JSON bool       `name:"json" help:"Print one line of JSON."`
}

// Help is shown with the command's flags.
func (checkCommand) Help() string {
	return `Reads every event, stream, index entry and checksum, says what is wrong and where, and changes nothing. No process may serve
the folder meanwhile: of one that is running, check a backup. It takes the same memory, less than 200 MB, whatever the store's
size. The exit status is 1 if something is wrong, and 2 if there is nothing to check.

  loyalty eventstore check --data loyalty-data`
}

// checkTasks are the names of the steps in the progress, and the unit of what each counts.
var checkTasks = map[embedded.Step]struct {
	name string
	unit func(uint64) string
}{
	embedded.StepFiles:  {"checking the files", output.Size},
	embedded.StepIndex:  {"reading the index", output.Events},
	embedded.StepLog:    {"reading the log", output.Events},
	embedded.StepLocate: {"locating what is wrong", output.Events},
}

// Run prints what was found, and fails if something is wrong.
func (c checkCommand) Run(ctx context.Context, std output.Streams) error {
	progress := output.NewProgress(std.Err, time.Now)
	report, err := embedded.Check(ctx, c.Data.EventStoreDir(), func(step embedded.Step, done, total uint64) {
		task := checkTasks[step]
		progress.Show(task.name, done, total, task.unit)
	})
	if err := progress.End(c.explain(err)); err != nil {
		return err
	}
	if err := c.print(std.Out, report); err != nil {
		return err
	}
	if report.Found > 0 {
		return fmt.Errorf("%s wrong with the event store in %s", english.Count(report.Found, "thing is", "things are"), c.Data)
	}
	return nil
}

// explain adds to an error what to do about it.
func (c checkCommand) explain(err error) error {
	switch {
	case errors.Is(err, embedded.ErrInUse):
		return flags.Usage(fmt.Errorf("a process serves %s now: stop it first; or make a backup with loyalty eventstore backup, and check that (%w)", c.Data, err))
	case errors.Is(err, embedded.ErrNoStore):
		return flags.Usage(noStore(c.Data, err))
	}
	return err
}

func noStore(data app.Folder, err error) error {
	return fmt.Errorf("%s is no data folder of loyalty: name the one that loyalty dev --data was given (%w)", data, err)
}

func (c checkCommand) print(out io.Writer, r embedded.Report) error {
	if c.JSON {
		return output.JSON(out, r)
	}
	if r.Found > 0 {
		rows := [][]any{{"POSITION", "STREAM", "REVISION", "FILE", "WHAT IS WRONG"}}
		for _, f := range r.Findings {
			rows = append(rows, findingRow(f))
		}
		if err := output.Table(out, rows...); err != nil {
			return err
		}
		if more := r.Found - uint64(len(r.Findings)); more > 0 {
			fmt.Fprintf(out, "and %s more\n", english.Grouped(more))
		}
		fmt.Fprintf(out, "\nWhat can be read: ")
	} else {
		fmt.Fprintf(out, "Nothing is wrong: ")
	}
	_, err := fmt.Fprintf(out, "%s in %s; the last position is %s; %s on disk.\n",
		output.Events(r.Events), english.Count(r.Streams, "stream", "streams"), english.Grouped(r.Last), output.Size(r.Bytes))
	return err
}

// findingRow is a finding as a row. A dash stands for what is not known.
func findingRow(f embedded.Finding) []any {
	row := []any{"-", "-", "-", "-", f.What}
	if f.Position > 0 {
		row[0] = f.Position
	}
	if f.Stream != "" {
		row[1] = fmt.Sprintf("%q", f.Stream)
	}
	switch {
	case f.Revision == nil:
	case *f.Revision == math.MaxInt64:
		row[2] = "tombstone"
	default:
		row[2] = *f.Revision
	}
	if f.File != "" {
		row[3] = f.File
	}
	return row
}

// backupCommand copies an event store, whether or not a process serves it.
type backupCommand struct {
	Data app.Folder `help:"Data folder whose event store is copied." default:"${data}" placeholder:"DIR"`
	To   app.Folder `help:"Data folder to make. It must not exist yet, or be empty." required:"" placeholder:"DIR"`
	JSON bool       `name:"json" help:"Print one line of JSON."`
}

// Help is shown with the command's flags.
func (backupCommand) Help() string {
	return `The process that serves the folder goes on meanwhile. The backup has every append that was acknowledged before the command
began, and ends with a whole one. It takes its name only when it is complete and on disk: a backup that failed, for want of
room or after Ctrl-C, leaves nothing behind.

  loyalty eventstore backup --data loyalty-data --to /mnt/backups/monday
  loyalty eventstore check --data /mnt/backups/monday
  loyalty dev --data /mnt/backups/monday

What is in it: the events, and the secret that proxy names are made with, since without it every customer would have another
name. So keep it where only you can read it. What is not in it: the ledger and the leaderboard, which are folded anew from
the events when it is started; and the secret of the tokens, for a backup is no key to the running system. The process
that starts on it makes up its own, so tokens need to be printed again.`
}

type BackupReport struct {
	To    string `json:"to"`
	Last  uint64 `json:"lastPosition"`
	Bytes uint64 `json:"bytes"`
}

// Run makes the backup in a staging folder beside its place, and renames that.
func (c backupCommand) Run(ctx context.Context, std output.Streams) (err error) {
	to, err := c.target()
	if err != nil {
		return flags.Usage(err)
	}
	if err := c.Data.Check(); err != nil {
		return flags.Usage(err)
	}
	staging, err := os.MkdirTemp(filepath.Dir(to), "."+filepath.Base(to)+".partial-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(staging)) }()
	report := BackupReport{To: to}
	progress := output.NewProgress(std.Err, time.Now)
	report.Last, err = embedded.Backup(ctx, c.Data.EventStoreDir(), app.Folder(staging).EventStoreDir(), func(done, total uint64) {
		report.Bytes = total
		progress.Show("copying", done, total, output.Size)
	})
	if err := progress.End(err); err != nil {
		if errors.Is(err, embedded.ErrNoStore) {
			return flags.Usage(noStore(c.Data, err))
		}
		return err
	}
	if err := copyProxySecret(c.Data, app.Folder(staging)); err != nil {
		return err
	}
	if err := publish(staging, to); err != nil {
		return err
	}
	if c.JSON {
		return output.JSON(std.Out, report)
	}
	_, err = fmt.Fprintf(std.Out, "The backup is in %s: the last position is %s; %s.\nVerify it with: loyalty eventstore check --data %[1]s\n",
		to, english.Grouped(report.Last), output.Size(report.Bytes))
	return err
}

// target is the place of the backup, which must be free. The folder above it is not made, since it may be the mount point of a disk that is
// not mounted.
func (c backupCommand) target() (string, error) {
	to, err := filepath.Abs(string(c.To))
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(filepath.Dir(to)); err != nil || !info.IsDir() {
		return "", fmt.Errorf("--to: there is no folder %s to make the backup in", filepath.Dir(to))
	}
	inside, err := os.ReadDir(to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return to, nil
	case err != nil || len(inside) > 0:
		return "", fmt.Errorf("--to: there is something in %s already: choose another folder", to)
	case device(to) != device(filepath.Dir(to)):
		return "", fmt.Errorf("--to: a disk is mounted on %s: choose a folder in it", to)
	}
	return to, nil
}

// device identifies the file system of a path.
func device(path string) any {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return stat.Dev
}

// publish renames a folder to its final name, in place of an empty one, once all of it is on disk.
func publish(staging, to string) error {
	if err := syncFolder(staging); err != nil {
		return err
	}
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(staging, to); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(to))
}

// copyProxySecret copies the secret that proxy names are made with, if the folder has one.
func copyProxySecret(from, to app.Folder) error {
	secret, err := os.ReadFile(from.ProxySecretFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	file, err := os.OpenFile(to.ProxySecretFile(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(secret)
	return errors.Join(err, file.Sync(), file.Close())
}

// syncFolder makes sure that the entries of a folder are on disk.
func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
