package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"loyalty/domain"
	"loyalty/eventstore"
)

// ManifestName is the name of the manifest in the folder of an export. Tools that read whole folders skip names with an underscore.
const ManifestName = "_manifest.json"

// manifestVersion is raised whenever the same events would give other bytes.
const manifestVersion = 1

// partialEnding is the ending of the names of unfinished files, which begin with a dot.
const partialEnding = ".partial"

// Manifest lists the files of an export. Like the files it depends on the log and the options only.
type Manifest struct {
	Version int     `json:"version"`
	Options options `json:"options"`
	// The export has the events after the position After, up to Position.
	After    domain.Position `json:"after"`
	Position domain.Position `json:"position"`
	Events   uint64          `json:"events"`
	Files    []File          `json:"files"`
	// Log is the id of the log, empty if it has none yet. Quarantined are the events that were left out by decision.
	Log         string                   `json:"log,omitempty"`
	Quarantined []eventstore.Quarantined `json:"quarantined,omitempty"`
}

// reads notes what the log says of itself. An export that was begun with another log is domain.ErrWrongLog.
func (m *Manifest) reads(log eventstore.Log) error {
	if m.Log != "" && m.Log != log.ID {
		return fmt.Errorf("%w: the export is of the log %s, and this is %q", domain.ErrWrongLog, m.Log, log.ID)
	}
	m.Log, m.Quarantined = log.ID, nil
	for _, q := range log.Quarantined {
		if m.After.Before(q.Position) && !m.Position.Before(q.Position) {
			m.Quarantined = append(m.Quarantined, q)
		}
	}
	return nil
}

// ReadManifest reads the manifest in the folder of an export, of any version. Without one the error is fs.ErrNotExist.
func ReadManifest(dir string) (*Manifest, error) {
	text, err := os.ReadFile(filepath.Join(dir, ManifestName))
	if err != nil {
		return nil, err
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("%s in %s is not the manifest of an export: %w", ManifestName, dir, err)
	}
	return &m, nil
}

// options are those that a run must have in common with the one that it continues.
type options struct {
	Format   Format   `json:"format"`
	From     string   `json:"from,omitempty"`
	To       string   `json:"to,omitempty"`
	Types    []string `json:"types"`
	PartRows int      `json:"rowsPerFile"`
}

// File is one file of an export.
type File struct {
	// Name is its path in the folder: "day=2026-10-01/part-00000.parquet".
	Name string `json:"name"`
	// Open says that a later run replaces the file when there are more events, because its day was not over and it was not full.
	Open   bool            `json:"open,omitempty"`
	Events int             `json:"events"`
	Bytes  int64           `json:"bytes"`
	SHA256 string          `json:"sha256"`
	First  domain.Position `json:"first"`
	Last   domain.Position `json:"last"`
}

// day is the day in the name of the file.
func (f File) day() (time.Time, error) {
	folder, _, _ := strings.Cut(f.Name, "/")
	day, err := time.Parse(time.DateOnly, strings.TrimPrefix(folder, dayPrefix))
	if err != nil {
		return day, fmt.Errorf("%s: the name %q has no day", ManifestName, f.Name)
	}
	return day, nil
}

// target is the folder of an export. It is locked, so that one process at a time writes to it.
type target struct {
	dir    string
	locked *os.File
}

// openTarget locks the folder of an export. It makes the folder if needed, with mode 0700, but not the folder it is in, which is
// missing if a disk is not mounted. The caller closes the target.
func openTarget(dir string) (*target, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make a folder for the export: %w", err)
	}
	locked, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(locked.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another export writes to %s: wait for it, or choose another folder (%w)", dir, err), locked.Close())
	}
	return &target{dir: dir, locked: locked}, nil
}

func (t *target) close() error { return t.locked.Close() }

// manifest reads the manifest of an earlier run. It is nil in an empty folder. A folder with something else in it, and an export with
// other options, are errors.
func (t *target) manifest(wanted options) (*Manifest, error) {
	m, err := ReadManifest(t.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, t.checkOurs()
	}
	if err != nil {
		return nil, err
	}
	if m.Version != manifestVersion {
		return nil, fmt.Errorf("the export in %s was written in version %d of the files, this program writes version %d: choose another folder", t.dir, m.Version, manifestVersion)
	}
	for _, option := range []struct{ flag, was, is string }{
		{"--format", string(m.Options.Format), string(wanted.Format)},
		{"--from", m.Options.From, wanted.From},
		{"--to", m.Options.To, wanted.To},
		{"--types", strings.Join(m.Options.Types, ","), strings.Join(wanted.Types, ",")},
		{"rows per file", fmt.Sprint(m.Options.PartRows), fmt.Sprint(wanted.PartRows)},
	} {
		if option.was != option.is {
			return nil, domain.Invalid(option.flag, "export_differs", fmt.Sprintf("the export in %s was begun with %q, not %q: use that, or choose another folder", t.dir, option.was, option.is))
		}
	}
	return m, nil
}

// checkOurs is an error if a folder without a manifest holds anything but what an interrupted run leaves.
func (t *target) checkOurs() error {
	inside, err := os.ReadDir(t.dir)
	if err != nil {
		return err
	}
	for _, entry := range inside {
		if entry.Name() != "."+ManifestName+partialEnding && !strings.HasPrefix(entry.Name(), dayPrefix) {
			return domain.Invalid("--out", "folder_in_use", fmt.Sprintf("there is something in %s already, and it is not an export: choose another folder", t.dir))
		}
	}
	return nil
}

// sweep removes the files of interrupted runs, and checks that the files of the manifest are there.
func (t *target) sweep(m *Manifest) error {
	known := map[string]File{}
	for _, file := range m.Files {
		known[file.Name] = file
		info, err := os.Stat(filepath.Join(t.dir, file.Name))
		if err == nil && !file.Open && info.Size() != file.Bytes {
			err = fmt.Errorf("it has %d bytes, not %d", info.Size(), file.Bytes)
		}
		if err != nil {
			return fmt.Errorf("%s is not as it was written (%w): restore it, or export to another folder", filepath.Join(t.dir, file.Name), err)
		}
	}
	left, err := filepath.Glob(filepath.Join(t.dir, dayPrefix+"*", "*"))
	if err != nil {
		return err
	}
	left = append(left, filepath.Join(t.dir, "."+ManifestName+partialEnding))
	for _, path := range left {
		name, err := filepath.Rel(t.dir, path)
		if err != nil {
			return err
		}
		if _, kept := known[filepath.ToSlash(name)]; !kept && t.wrote(path) {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// wrote tells whether an export may have written the file.
func (t *target) wrote(path string) bool {
	name := filepath.Base(path)
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, partialEnding) ||
		strings.HasPrefix(name, partPrefix) && slices.Contains([]Format{Parquet, CSV, JSONLines}, Format(strings.TrimPrefix(filepath.Ext(name), ".")))
}

// save replaces the manifest atomically.
func (t *target) save(m *Manifest) error {
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	partial := filepath.Join(t.dir, "."+ManifestName+partialEnding)
	file, err := os.Create(partial)
	if err != nil {
		return err
	}
	_, err = file.Write(append(text, '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(partial))
	}
	return Publish(partial, filepath.Join(t.dir, ManifestName))
}

// Publish renames a file that is synced to disk to its final name, replacing a file of that name, and syncs their folder.
func Publish(partial, final string) error {
	if err := os.Rename(partial, final); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(final))
}

// syncFolder syncs the names in a folder to disk.
func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
