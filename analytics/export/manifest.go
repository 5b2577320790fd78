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
)

// ManifestName is the name of the file in the folder of an export that says what is in it. It begins with an underscore, which
// readers of whole folders pass over.
const ManifestName = "_manifest.json"

// manifestVersion is raised whenever the same events would give other bytes.
const manifestVersion = 1

// partialEnding is what names end in that are not final. They begin with a dot.
const partialEnding = ".partial"

// Manifest says what is in the folder of an export. Like the files it depends on nothing but the log and the options.
type Manifest struct {
	Version int     `json:"version"`
	Options options `json:"options"`
	// After and Position are the places in the log behind which the export begins and up to which its files go.
	After    domain.Position `json:"after"`
	Position domain.Position `json:"position"`
	Events   uint64          `json:"events"`
	Files    []File          `json:"files"`
}

// options are what two runs must have in common to go on from each other.
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
	// Open says that a later run writes it anew when there are more events, since neither its day nor its room was at an end.
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

// target is the folder of an export, which one process at a time writes to.
type target struct {
	dir    string
	locked *os.File
}

// openTarget makes the folder if it isn't there, for its owner alone, in a folder that is: a disk may be missing. The caller closes it.
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

// manifest reads what an earlier run left. It is nil in a folder that is empty; one with something else in it is refused, and so is
// an export with other options.
func (t *target) manifest(wanted options) (*Manifest, error) {
	text, err := os.ReadFile(filepath.Join(t.dir, ManifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, t.checkOurs()
	}
	if err != nil {
		return nil, err
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("%s in %s is no manifest of an export: %w", ManifestName, t.dir, err)
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
	return &m, nil
}

// checkOurs refuses a folder without a manifest that has something else in it than what an interrupted run leaves.
func (t *target) checkOurs() error {
	inside, err := os.ReadDir(t.dir)
	if err != nil {
		return err
	}
	for _, entry := range inside {
		if entry.Name() != "."+ManifestName+partialEnding && !strings.HasPrefix(entry.Name(), dayPrefix) {
			return domain.Invalid("--out", "folder_in_use", fmt.Sprintf("there is something in %s already, and it is no export: choose another folder", t.dir))
		}
	}
	return nil
}

// sweep throws away what runs left that did not come to their end, and checks that what the manifest names is there.
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

// wrote tells whether the path may be of this program's making.
func (t *target) wrote(path string) bool {
	name := filepath.Base(path)
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, partialEnding) ||
		strings.HasPrefix(name, partPrefix) && slices.Contains([]Format{Parquet, CSV, JSONLines}, Format(strings.TrimPrefix(filepath.Ext(name), ".")))
}

// save replaces the manifest in one step.
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
	return publish(partial, filepath.Join(t.dir, ManifestName))
}

// publish gives a file that is on disk its final name, in place of what has it.
func publish(partial, final string) error {
	if err := os.Rename(partial, final); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(final))
}

// syncFolder makes sure that the names in a folder are on disk.
func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
