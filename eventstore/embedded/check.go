package embedded

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

// ErrNoStore is the error for a folder that holds no event store.
var ErrNoStore = errors.New("there is no event store in the folder")

// Report is the result of Check.
type Report struct {
	Events   uint64    `json:"events"`       // that can be read
	Streams  uint64    `json:"streams"`      // that can be read, with metadata streams and deleted ones
	Bytes    uint64    `json:"bytes"`        // on disk
	Last     uint64    `json:"lastPosition"` // position of the last event, 0 when there is none
	Found    uint64    `json:"found"`        // number of findings
	Findings []Finding `json:"findings"`     // the first of them, maxFindings at most
}

// Finding is one fault, and where it is, as far as that is known.
type Finding struct {
	What     string `json:"what"`
	Position uint64 `json:"position,omitempty"` // 0 when unknown
	Stream   string `json:"stream,omitempty"`   // empty when unknown
	Revision *int64 `json:"revision,omitempty"` // nil when unknown
	File     string `json:"file,omitempty"`     // in the store's data folder; empty when unknown
}

// maxFindings is the most findings that a report lists. It counts the others.
const maxFindings = 1000

// Step is a part of Check.
type Step string

// The steps, in order. The last one runs only if something is wrong.
const (
	StepFiles  Step = "files"  // reads every block of every table file; progress is in bytes
	StepIndex  Step = "index"  // reads the streams and their index; progress is in events
	StepLog    Step = "log"    // reads the log; progress is in events
	StepLocate Step = "locate" // looks up each event in the index, and each index entry in the log; in events, twice
)

// Check verifies the event store in dir completely. It goes on after a finding, and changes nothing: what a crash left in the write-ahead
// log is replayed in memory.
//
// It verifies the checksum of every block of every table file and of the write-ahead log; that every event has its checksum, and that the
// log has no gaps; that each stream's head has its checksum, that its revisions have no gap but the one before a tombstone, and that their
// positions ascend; that the index leads to each event exactly once; that there are no keys of another kind. An append is written
// atomically with the stream's head, so half an append would be an event that the head and the index don't have, or the reverse.
//
// The index and the log are compared by the sum of a 64-bit hash of each (stream, revision, position), in two sequential
// passes; a difference that cancels out in that sum has a chance of 2^-64. Only when they differ, or something else was
// found, is every event and index entry looked up to say where. So the memory it takes depends neither on the number of
// events nor on that of streams: a block cache, the write-ahead log (some tens of megabytes after a crash, nothing after a
// shutdown), a few hundred bytes for each table file, and the findings listed.
//
// progress may be nil; it is called from this goroutine, a thousand events apart or so. total is 0 when it is not known.
//
// The error is ErrInUse if a process serves the folder, ErrNoStore if it holds no store. Faults of the store are in the report, not in the
// error.
func Check(ctx context.Context, dir string, progress func(step Step, done, total uint64)) (Report, error) {
	report, err := check(ctx, dir, progress)
	if err != nil {
		return report, fmt.Errorf("check the event store in %s: %w", dir, err)
	}
	return report, nil
}

func check(ctx context.Context, dir string, progress func(Step, uint64, uint64)) (_ Report, err error) {
	data := filepath.Join(dir, dataFolder)
	if err := requireStore(data); err != nil {
		return Report{}, err
	}
	lock, err := lockUnserved(dir)
	if err != nil {
		return Report{}, err
	}
	defer lock.Close()
	if progress == nil {
		progress = func(Step, uint64, uint64) {}
	}
	c := &checker{dir: data, progress: progress, seed: maphash.MakeSeed(), report: Report{Findings: []Finding{}}}
	if c.report.Bytes, err = folderBytes(data); err != nil {
		return c.report, err
	}
	cache := pebble.NewCache(checkCacheBytes)
	defer cache.Unref()
	if c.db, err = pebble.Open(data, readOnlyOptions(cache, &c.bad)); err != nil {
		c.found(Finding{What: "the database can't be opened, so only its table files were checked: " + errorText(err), File: c.bad.lastOpened()})
		return c.report, c.checkFiles(ctx)
	}
	defer func() { err = errors.Join(err, c.db.Close()) }()
	if err := c.checkLayout(); err != nil {
		return c.report, err
	}
	if err := c.checkFiles(ctx); err != nil {
		return c.report, err
	}
	inFiles := c.report.Found
	for _, step := range []func(context.Context) error{c.checkKeys, c.checkStreams, c.checkIndex, c.checkLog, c.checkMark} {
		if err := step(ctx); err != nil {
			return c.report, err
		}
	}
	c.report.Last = c.last
	if c.log == c.index && !c.strays && c.report.Found == inFiles {
		return c.report, nil
	}
	if err := c.locate(ctx); err != nil {
		return c.report, err
	}
	if c.report.Found == inFiles {
		c.found(Finding{What: "the index and the log differ, but each event and each index entry was found: repeat the check"})
	}
	return c.report, nil
}

// checker is one run of Check.
type checker struct {
	dir      string
	db       *pebble.DB
	progress func(Step, uint64, uint64)
	report   Report
	seed     maphash.Seed
	bounds   [][]byte    // where table files begin and end, in key order
	last     uint64      // the last position that exists or must have existed
	log      fingerprint // of the events in the log that can be read
	index    fingerprint // of the events that the index leads to
	indexed  uint64      // index entries that belong to a stream
	strays   bool        // there are other index entries
	scratch  []byte
	bad      badBlocks
}

// fingerprint is a digest of a set of (stream, revision, position), whatever their order.
type fingerprint struct{ count, sum uint64 }

func (c *checker) add(f *fingerprint, stream []byte, revision int64, position uint64) {
	key := append(logKey(c.scratch, position), stream...)
	c.scratch = appendRevision(key, revision)
	f.count++
	f.sum += maphash.Bytes(c.seed, c.scratch)
}

func (c *checker) found(f Finding) {
	c.report.Found++
	if len(c.report.Findings) < maxFindings {
		c.report.Findings = append(c.report.Findings, f)
	}
}

// errorText is an error's text in a finding.
func errorText(err error) string {
	return strings.TrimSuffix(err.Error(), ": "+ErrDamaged.Error())
}

// requireStore returns ErrNoStore if a folder holds no database, complete or not.
func requireStore(data string) error {
	files, err := os.ReadDir(data)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoStore
	}
	if err != nil {
		return err
	}
	for _, f := range files {
		if name := f.Name(); name != "LOCK" && f.Type().IsRegular() {
			return nil
		}
	}
	return ErrNoStore
}

// lockUnserved keeps a folder from being served until the returned file is closed. It doesn't write to the folder. A folder that was never
// served has no lock file and can't be locked: the file is nil.
func lockUnserved(dir string) (*os.File, error) {
	f, err := os.Open(filepath.Join(dir, lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(inUse(f, err), f.Close())
	}
	return f, nil
}

// folderBytes is the size of the files in a folder.
func folderBytes(dir string) (sum uint64, err error) {
	files, err := os.ReadDir(dir)
	for _, f := range files {
		info, infoErr := f.Info()
		if infoErr != nil {
			return 0, infoErr
		}
		if info.Mode().IsRegular() {
			sum += uint64(info.Size())
		}
	}
	return sum, err
}
