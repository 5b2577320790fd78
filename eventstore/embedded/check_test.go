package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
)

// carry has the writer carry out one request of any kind.
func carry(t *testing.T, s *Server, op operation, stream, eventType string, data ...string) {
	t.Helper()
	r := &request{operation: op, stream: stream, expected: expectAny}
	for _, d := range data {
		r.events = append(r.events, propose(uuid.New(), stream, []byte(eventType), true, []byte(d), nil))
	}
	if v, err := s.writer.submit(t.Context(), r); err != nil || v.outcome != write {
		t.Fatal(op, stream, v, err)
	}
}

// writeAllKinds writes a bit of everything there is, and answers the number of events and of streams.
func writeAllKinds(t *testing.T, s *Server) (events, streams uint64) {
	t.Helper()
	for i := range 40 {
		put(t, s, fmt.Sprintf("order-%d", i), "data=placed;", "data=awarded;")
	}
	for i := range 10 {
		put(t, s, fmt.Sprintf("order-%d", i), "data=returned;", "data=reversed;")
	}
	put(t, s, "s", "data=a;", "data=b;") // what the tests below harm
	put(t, s, "s", "data=c;", "data=d;", "data=e;")
	carry(t, s, opAppend, "$$s", typeMetadata, `{"$maxCount":4}`)
	carry(t, s, opAppend, "$$s", typeMetadata, `{"$maxCount":5}`)
	carry(t, s, opAppend, "links", typeLink, "0@s", "7@nowhere")
	carry(t, s, opDelete, "order-3", "")
	put(t, s, "order-3", "data=again;") // writes its metadata as well
	carry(t, s, opDelete, "order-4", "")
	carry(t, s, opTombstone, "order-5", "")
	carry(t, s, opTombstone, "never-written", "")
	carry(t, s, opAppend, "$$only-described", typeMetadata, `{}`)
	put(t, s, strings.Repeat("long ", 500), "data=long;")
	put(t, s, "Ünïcode \x00 \xf0\x9f\xa6\xa6", "data=x;", strings.Repeat("y", 100_000))
	return s.store.end(), 40 + 2 + 1 + 2 + 1 + 1 + 2
}

func checked(t *testing.T, dir string) Report {
	t.Helper()
	report, err := Check(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestAHealthyStoreHasNothingWrong(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	stop(t, s)
	if r := checked(t, dir); r.Found != 0 || r.Events != 0 || r.Last != 0 || r.Streams != 0 {
		t.Errorf("an empty store: %+v", r)
	}
	s = serve(t, dir)
	events, streams := writeAllKinds(t, s)
	stop(t, s)
	steps := map[Step]uint64{}
	r, err := Check(t.Context(), dir, func(step Step, done, total uint64) {
		if done < steps[step] || done > total {
			t.Errorf("progress of %s goes from %d to %d of %d", step, steps[step], done, total)
		}
		steps[step] = done
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Found != 0 || r.Events != events || r.Last != events || r.Streams != streams || r.Bytes == 0 {
		t.Errorf("%d events, %d streams: %+v", events, streams, r)
	}
	if steps[StepIndex] != events || steps[StepLog] != events || steps[StepFiles] == 0 || len(steps) != 3 {
		t.Errorf("progress ended at %v", steps)
	}
}

// crashed is a store as a crash leaves it: its newest events are in the write-ahead log only.
func crashed(t *testing.T) (dir string, events uint64) {
	t.Helper()
	live := t.TempDir()
	s := serve(t, live)
	writeAllKinds(t, s)
	stop(t, s)
	s = serve(t, live)
	for i := range 50 {
		put(t, s, fmt.Sprintf("late-%d", i), "data=late;"+strings.Repeat("x", 4000))
	}
	events = s.store.end()
	// Unlike a crash, a copy takes time, in which Pebble may remove a file that it needs no more: then there is another.
	for tries := 1; ; tries++ {
		dir = t.TempDir()
		err := os.CopyFS(filepath.Join(dir, dataFolder), os.DirFS(filepath.Join(live, dataFolder)))
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || tries == 10 {
			t.Fatal(err)
		}
	}
	stop(t, s)
	return dir, events
}

func TestCheckChangesNothingNotEvenAfterACrash(t *testing.T) {
	dir, events := crashed(t)
	before := contents(t, dir)
	if r := checked(t, dir); r.Found != 0 || r.Events != events {
		t.Errorf("%d events were written: %+v", events, r)
	}
	if after := contents(t, dir); !maps.Equal(before, after) {
		t.Errorf("before %v\nafter %v", slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
	}
}

// contents are the files of a folder, each with its time and content.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		all[path] = info.ModTime().String() + string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCheckNeedsAStoreThatIsThereAndNotServed(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	if _, err := Check(t.Context(), nowhere, nil); !errors.Is(err, ErrNoStore) || !strings.Contains(err.Error(), nowhere) {
		t.Errorf("a folder that is not there: %v", err)
	}
	if _, err := os.Stat(nowhere); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the folder was made")
	}
	if _, err := Check(t.Context(), t.TempDir(), nil); !errors.Is(err, ErrNoStore) {
		t.Errorf("an empty folder: %v", err)
	}
	dir := t.TempDir()
	s := serve(t, dir)
	if _, err := Check(t.Context(), dir, nil); !errors.Is(err, ErrInUse) {
		t.Errorf("a store being served: %v", err)
	}
	stop(t, s)
	lock, err := lockUnserved(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Dir: dir}); !errors.Is(err, ErrInUse) {
		t.Errorf("serving what is being checked: %v", err)
	}
	if r := checked(t, dir); r.Found != 0 {
		t.Errorf("two checks at once: %+v", r)
	}
	_ = lock.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Check(ctx, dir, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a check that was given up: %v", err)
	}
}

// harm changes the database of a closed store, and compacts it so that nothing is left of what was.
func harm(t *testing.T, dir string, change func(db *pebble.DB) error) {
	t.Helper()
	db, err := pebble.Open(filepath.Join(dir, dataFolder), &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: pebbleLogger{slog.New(slog.DiscardHandler)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(change(db), db.Flush(), db.Compact(t.Context(), []byte{0}, []byte{0xff}, false), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func valueOf(db *pebble.DB, key []byte) []byte {
	value, closer, err := db.Get(key)
	if err != nil {
		panic(err)
	}
	defer closer.Close()
	return bytes.Clone(value)
}

func TestCheckFindsAndLocatesEachKindOfDamage(t *testing.T) {
	const first = 101 // position of the first event of "s"
	at := func(position uint64) []byte { return logKey(nil, position) }
	set := func(key, value []byte) func(*pebble.DB) error {
		return func(db *pebble.DB) error { return db.Set(key, value, pebble.Sync) }
	}
	remove := func(key []byte) func(*pebble.DB) error {
		return func(db *pebble.DB) error { return db.Delete(key, pebble.Sync) }
	}
	position := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	event := func(stream string, revision int64, at uint64) []byte {
		return appendRecord(nil, propose(uuid.New(), stream, []byte("noted"), true, []byte("x"), nil), revision, at, 0)
	}
	is := func(what string, position uint64, stream string, revision int64) Finding {
		f := Finding{What: what, Position: position, Stream: stream}
		if revision >= 0 {
			f.Revision = &revision
		}
		return f
	}
	for clause, c := range map[string]struct {
		harm func(db *pebble.DB) error
		want []Finding // each is found, What by a part of it
		most int       // findings there may be, if more than those
	}{
		"a flipped byte in an event": {harm: func(db *pebble.DB) error {
			value := valueOf(db, at(first+3))
			value[len(value)-3] ^= 1
			return db.Set(at(first+3), value, pebble.Sync)
		}, want: []Finding{is("wrong checksum", first+3, "s", 3)}},
		"an event in the place of another": {harm: func(db *pebble.DB) error {
			return db.Set(at(first+3), valueOf(db, at(first+2)), pebble.Sync)
		}, want: []Finding{is("belongs to position 103", first+3, "s", 3)}},
		"an event cut short":            {harm: set(at(first+1), []byte{1, 2}), want: []Finding{is("too few", first+1, "s", 1)}},
		"an event is missing":           {harm: remove(at(first + 1)), want: []Finding{is("missing", first+1, "s", 1)}},
		"the first event is missing":    {harm: remove(at(1)), want: []Finding{is("missing", 1, "order-0", 0)}},
		"an event before the first":     {harm: set(at(0), []byte("x")), want: []Finding{is("position 0", 0, "", -1)}},
		"an event that no index knows":  {harm: func(db *pebble.DB) error { return db.Set(at(first+1), event("s", 9, first+1), pebble.Sync) }, want: []Finding{is("says that 4 is its last", first+1, "s", 9), is("where event 9", first+1, "s", 1)}},
		"an event of an unknown stream": {harm: set(at(first+1), event("new", 0, first+1)), want: []Finding{is("has no head", first+1, "new", 0), is("event 0 of \"new\"", first+1, "s", 1)}},
		"an event twice":                {harm: set(at(first+1), event("s", 4, first+1)), want: []Finding{is("twice", first+1, "s", 4), is("event 4 of \"s\"", first+1, "s", 1)}},
		"several events are missing": {harm: func(db *pebble.DB) error {
			return errors.Join(db.Delete(at(7), nil), db.Delete(at(8), nil), db.Delete(at(9), nil))
		}, want: []Finding{is("from position 7 to 9", 7, "order-3", 0)}},
		"an index entry to another event": {harm: set(streamKey(nil, "s", 2), position(first+4)), want: []Finding{is("event 4 of \"s\"", first+4, "s", 2)}, most: 2},
		"an index entry to nowhere":       {harm: set(streamKey(nil, "s", 4), position(1<<40)), want: []Finding{is("not in the log", 1<<40, "s", 4)}, most: 3},
		"an index entry too short":        {harm: set(streamKey(nil, "s", 2), []byte("x")), want: []Finding{is("1 bytes", 0, "s", 2)}},
		"no index entry":                  {harm: remove(streamKey(nil, "s", 3)), want: []Finding{is("no entry", first+3, "s", 3)}},
		"no last index entry":             {harm: remove(streamKey(nil, "s", 4)), want: []Finding{is("no entry", first+4, "s", 4)}},
		"no index at all": {harm: func(db *pebble.DB) error {
			return db.DeleteRange(streamKey(nil, "s", 0), streamKey(nil, "s", 9), pebble.Sync)
		}, want: []Finding{is("events 2 to 4", first+2, "s", 2)}},
		"a revision and its event are missing": {harm: func(db *pebble.DB) error {
			return errors.Join(db.Delete(streamKey(nil, "s", 3), nil), db.Delete(at(first+3), nil))
		}, want: []Finding{is("no entry", 0, "s", 3), is("missing", first+3, "", -1)}},
		"an index entry of the first append":  {harm: set(streamKey(nil, "s", 1), position(first+1)), want: []Finding{is("first append", 0, "s", 1)}},
		"an index entry past the end":         {harm: set(streamKey(nil, "s", 5), position(first+4)), want: []Finding{is("4 is its last", 0, "s", 5)}},
		"an index entry of no stream":         {harm: set(streamKey(nil, "t", 5), position(9)), want: []Finding{is("no head", 9, "t", 5)}},
		"an index entry that none has":        {harm: set(streamKey(nil, "order-20", 1), position(42)), want: []Finding{is("only the 2 events", 42, "order-20", 1)}},
		"an index entry under a broken key":   {harm: set([]byte("s\x00\x09x"), position(9)), want: []Finding{is("no known kind", 0, "", -1)}},
		"no tombstone in the index":           {harm: remove(streamKey(nil, "order-5", tombstoned)), want: []Finding{is("tombstone", 114, "order-5", tombstoned)}},
		"a head with a wrong checksum":        {harm: set(headKey(nil, "s"), []byte(strings.Repeat("x", headSize))), want: []Finding{is("wrong checksum", 0, "s", -1)}},
		"another stream's head":               {harm: set(headKey(nil, "s"), appendHead(nil, "t", head{4, first + 4, first, 2})), want: []Finding{is("wrong checksum", 0, "s", -1)}},
		"a head past the end":                 {harm: set(headKey(nil, "s"), appendHead(nil, "s", head{9, first + 4, first, 2})), want: []Finding{is("5 to 9", 0, "s", 5)}},
		"a head before the end":               {harm: set(headKey(nil, "s"), appendHead(nil, "s", head{3, first + 3, first, 2})), want: []Finding{is("3 is its last", 0, "s", 4)}},
		"a head at another position":          {harm: set(headKey(nil, "s"), appendHead(nil, "s", head{4, first + 3, first, 2})), want: []Finding{is("position 104, the index says 105", first+3, "s", 4)}},
		"a head with another beginning":       {harm: set(headKey(nil, "s"), appendHead(nil, "s", head{4, first + 4, first - 1, 2})), want: []Finding{is("where event", first-1, "s", 0), is("where event 0", first, "s", 1)}},
		"a head with a shorter first append":  {harm: set(headKey(nil, "s"), appendHead(nil, "s", head{4, first + 4, first, 1})), want: []Finding{is("no entry", first+1, "s", 1)}},
		"a head of one append, at its middle": {harm: set(headKey(nil, "order-20"), appendHead(nil, "order-20", head{1, 41, 41, 2})), want: []Finding{is("ends at 42", 41, "order-20", 1)}},
		"a head that makes no sense":          {harm: set(headKey(nil, "s"), appendHead(nil, "s", head{4, first + 4, first, 1 << 60})), want: []Finding{is("makes no sense", 0, "s", -1)}},
		"a head without events":               {harm: set(headKey(nil, "t"), appendHead(nil, "t", head{0, 5, 5, 1})), want: []Finding{is("where event 0 of \"order-2\"", 5, "t", 0)}},
		"no head":                             {harm: remove(headKey(nil, "s")), want: []Finding{is("no head", first, "s", 0)}, most: 4},
		"no head of a short stream":           {harm: remove(headKey(nil, "order-20")), want: []Finding{is("no head", 41, "order-20", 0)}},
		"a key of a later program":            {harm: set([]byte("x"), []byte("y")), want: []Finding{is("no known kind", 0, "", -1)}},
		"a key before all others":             {harm: set([]byte("A"), []byte("y")), want: []Finding{is("no known kind", 0, "", -1)}},
		"a key after all others":              {harm: set([]byte{0xff, 0xff}, []byte("y")), want: []Finding{is("no known kind", 0, "", -1)}},
		"a key among the events":              {harm: set([]byte("exyz"), []byte("y")), want: []Finding{is("no known kind", 0, "", -1)}},
		"no version of the layout":            {harm: remove([]byte{formatKind}), want: []Finding{is("version", 0, "", -1)}},
	} {
		t.Run(clause, func(t *testing.T) {
			dir := t.TempDir()
			s := serve(t, dir)
			writeAllKinds(t, s)
			stop(t, s)
			harm(t, dir, c.harm)
			r := checked(t, dir)
			for _, want := range c.want {
				if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return matches(f, want) }) {
					t.Errorf("%s is not found", show(want))
				}
			}
			if most := max(c.most, len(c.want)); r.Found == 0 || r.Found > uint64(most) || r.Found != uint64(len(r.Findings)) {
				t.Errorf("%d findings, %d at most are due", r.Found, most)
			}
			if t.Failed() {
				for _, f := range r.Findings {
					t.Log(show(f))
				}
			}
		})
	}
}

func matches(f, want Finding) bool {
	return strings.Contains(f.What, want.What) && f.Position == want.Position && f.Stream == want.Stream &&
		(f.Revision == nil) == (want.Revision == nil) && (f.Revision == nil || *f.Revision == *want.Revision)
}

func show(f Finding) string {
	revision := "?"
	if f.Revision != nil {
		revision = fmt.Sprint(*f.Revision)
	}
	return fmt.Sprintf("%q at position %d, stream %q, revision %s, file %q", f.What, f.Position, f.Stream, revision, f.File)
}

// TestCheckFindsAnyChange changes one key of a store, any one, in any way that leaves each value's own checksum right.
func TestCheckFindsAnyChange(t *testing.T) {
	origin := t.TempDir()
	s := serve(t, origin)
	writeAllKinds(t, s)
	stop(t, s)
	type pair struct{ key, value []byte }
	var pairs []pair
	harm(t, origin, func(db *pebble.DB) error {
		iter, err := db.NewIter(nil)
		if err != nil {
			return err
		}
		for ok := iter.First(); ok; ok = iter.Next() {
			if iter.Key()[0] != formatKind {
				pairs = append(pairs, pair{bytes.Clone(iter.Key()), bytes.Clone(iter.Value())})
			}
		}
		return iter.Close()
	})
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, dataFolder), os.DirFS(filepath.Join(origin, dataFolder))); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		p, other := pairs[rand.IntN(len(pairs))], pairs[rand.IntN(len(pairs))]
		var key, value []byte // the key changed and its new value, nil for none
		switch rand.IntN(4) {
		case 0:
			key = p.key
		case 1:
			key, value = p.key, other.value
		case 2:
			key, value = bytes.Clone(p.key), p.value
			key[len(key)-1] ^= 1 << rand.IntN(3)
		case 3:
			key, value = p.key, bytes.Clone(p.value)
			value[rand.IntN(len(value))] ^= 1 << rand.IntN(8)
		}
		var was []byte
		if i := slices.IndexFunc(pairs, func(p pair) bool { return bytes.Equal(p.key, key) }); i >= 0 {
			if was = pairs[i].value; bytes.Equal(was, value) {
				continue
			}
		}
		restore := func(db *pebble.DB) error {
			if was == nil {
				return db.Delete(key, pebble.Sync)
			}
			return db.Set(key, was, pebble.Sync)
		}
		harm(t, dir, func(db *pebble.DB) error {
			if value == nil {
				return db.Delete(key, pebble.Sync)
			}
			return db.Set(key, value, pebble.Sync)
		})
		r := checked(t, dir)
		if r.Found == 0 {
			t.Fatalf("key %q changed from %q to %q, and nothing was found", key, was, value)
		}
		if r.Found > 12 {
			t.Errorf("key %q changed from %q to %q makes %d findings, such as %s", key, was, value, r.Found, show(r.Findings[10]))
		}
		harm(t, dir, restore)
	}
	if r := checked(t, dir); r.Found != 0 {
		t.Fatalf("put right again: %s", show(r.Findings[0]))
	}
}

func TestAManyTimesDamagedStoreIsReportedInBoundedSpace(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	for i := range 1500 {
		put(t, s, fmt.Sprintf("order-%d", i), "data=placed;", "data=awarded;")
	}
	stop(t, s)
	harm(t, dir, func(db *pebble.DB) error {
		for position := uint64(1); position <= 3000; position += 2 {
			if err := db.Delete(logKey(nil, position), nil); err != nil {
				return err
			}
		}
		return nil
	})
	if r := checked(t, dir); r.Found != 1500 || len(r.Findings) != maxFindings || r.Events != 1500 {
		t.Errorf("%d findings, %d listed, %d events", r.Found, len(r.Findings), r.Events)
	}
}

// TestReadOnlyFSRefusesEveryChange: whatever Pebble may try.
func TestReadOnlyFSRefusesEveryChange(t *testing.T) {
	fs := readOnlyFS{vfs.NewMem(), new(badBlocks)}
	_, createErr := fs.Create("a", vfs.WriteCategoryUnspecified)
	_, openErr := fs.OpenReadWrite("a", vfs.WriteCategoryUnspecified)
	_, reuseErr := fs.ReuseForWrite("a", "b", vfs.WriteCategoryUnspecified)
	for i, err := range []error{createErr, openErr, reuseErr, fs.Link("a", "b"), fs.Remove("a"), fs.RemoveAll("a"), fs.Rename("a", "b"), fs.MkdirAll("d", 0o700)} {
		if err == nil {
			t.Errorf("change %d is not refused", i)
		}
	}
}

// BenchmarkCheck is of orders with two events each, a quarter of them with a return.
func BenchmarkCheck(b *testing.B) {
	dir := b.TempDir()
	s, err := Open(b.Context(), Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	const orders = 100_000
	events := []proposal{{}, {}}
	for i := range orders {
		stream := uuid.NewSHA1(uuid.NameSpaceOID, []byte(strconv.Itoa(i))).String()
		appends := 1
		if i%4 == 0 {
			appends = 2
		}
		for range appends {
			for j := range events {
				events[j] = propose(uuid.New(), stream, []byte("order-placed.v1"), true, bytes.Repeat([]byte("x"), 300), nil)
			}
			r := &request{stream: stream, expected: expectAny, events: events, answer: make(chan answer, 1)}
			s.writer.queue <- r
			events = []proposal{{}, {}}
		}
	}
	if err := s.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if r, err := Check(b.Context(), dir, nil); err != nil || r.Found != 0 || r.Streams != orders {
			b.Fatal(r, err)
		}
	}
	b.ReportMetric(2.5*orders*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
