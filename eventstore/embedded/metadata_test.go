package embedded_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"loyalty/eventstore/embedded"
)

func describe(t testing.TB, db *esdb.Client, stream string, m esdb.StreamMetadata) *esdb.WriteResult {
	t.Helper()
	result, err := db.SetStreamMetadata(t.Context(), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, m)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func maxCount(n uint64) (m esdb.StreamMetadata) {
	m.SetMaxCount(n)
	return m
}

func truncateBefore(n uint64) (m esdb.StreamMetadata) {
	m.SetTruncateBefore(n)
	return m
}

func readable(t testing.TB, db *esdb.Client, stream string) ([]string, error) {
	t.Helper()
	forwards, err := readStream(t, db, stream, esdb.Forwards, esdb.Start{}, everything)
	backwards, backErr := readStream(t, db, stream, esdb.Backwards, esdb.End{}, everything)
	if code(err) != code(backErr) {
		t.Errorf("forwards: %v, backwards: %v", err, backErr)
	}
	slices.Reverse(backwards)
	if !slices.Equal(names(forwards), names(backwards)) {
		t.Errorf("forwards %v, backwards (turned round) %v", names(forwards), names(backwards))
	}
	return names(forwards), err
}

func TestMetadataHidesEventsAtRead(t *testing.T) {
	raw := func(data string) esdb.EventData {
		e := typed(data, "$metadata")
		e.Data = []byte(data)
		return e
	}
	for _, c := range []struct {
		clause   string
		metadata []esdb.EventData
		want     []string
	}{
		{"the newest $maxCount", []esdb.EventData{raw(`{"$maxCount":2}`)}, []string{"d", "e"}},
		{"more than there are", []esdb.EventData{raw(`{"$maxCount":9}`)}, []string{"a", "b", "c", "d", "e"}},
		{"from $tb on", []esdb.EventData{raw(`{"$tb":3}`)}, []string{"d", "e"}},
		{"behind the end", []esdb.EventData{raw(`{"$tb":5}`)}, nil},
		{"the stricter of both: $tb", []esdb.EventData{raw(`{"$tb":4,"$maxCount":3}`)}, []string{"e"}},
		{"the stricter of both: $maxCount", []esdb.EventData{raw(`{"$tb":1,"$maxCount":1}`)}, []string{"e"}},
		{"only the newest metadata counts", []esdb.EventData{raw(`{"$tb":4}`), raw(`{"$maxCount":3}`)}, []string{"c", "d", "e"}},
		{"not JSON: hides nothing", []esdb.EventData{raw(`{"$tb":4`)}, []string{"a", "b", "c", "d", "e"}},
		{"not an object: hides nothing", []esdb.EventData{raw(`[4]`)}, []string{"a", "b", "c", "d", "e"}},
		{"not a whole number: hides nothing", []esdb.EventData{raw(`{"$tb":4.5,"$maxCount":1}`)}, []string{"a", "b", "c", "d", "e"}},
		{"a number as text: hides nothing", []esdb.EventData{raw(`{"$maxCount":"1"}`)}, []string{"a", "b", "c", "d", "e"}},
		{"below zero: hides nothing", []esdb.EventData{raw(`{"$tb":-1,"$maxCount":-1}`)}, []string{"a", "b", "c", "d", "e"}},
		{"a count of zero: hides nothing", []esdb.EventData{raw(`{"$maxCount":0}`)}, []string{"a", "b", "c", "d", "e"}},
		{"what the store doesn't know is left alone", []esdb.EventData{raw(`{"colour":"red","$acl":{"$r":"x"},"$maxCount":1}`)}, []string{"e"}},
	} {
		t.Run(c.clause, func(t *testing.T) {
			t.Parallel()
			db := start(t)
			write(t, db, "s", esdb.NoStream{}, events("a", "b", "c", "d", "e")...)
			write(t, db, "$$s", esdb.NoStream{}, c.metadata...)
			got, err := readable(t, db, "s")
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("got %v, %v; want %v", got, err, c.want)
			}
			if all := readAll(t, db, esdb.Forwards, esdb.Start{}, everything); len(all) != 5+len(c.metadata) {
				t.Errorf("$all has %d events; it must have them all", len(all))
			}
		})
	}
}

func TestMaxAgeHidesEventsAtRead(t *testing.T) {
	dir := t.TempDir()
	var seconds atomic.Int64
	seconds.Store(1_700_000_000)
	open(t, embedded.Options{Dir: dir, Now: func() time.Time { return time.Unix(seconds.Load(), 0) }})
	db := connect(t, dir)
	for _, n := range []string{"a", "b", "c"} {
		write(t, db, "s", esdb.Any{}, event(n))
		seconds.Add(10)
	}
	var m esdb.StreamMetadata
	m.SetMaxAge(25 * time.Second)
	describe(t, db, "s", m)
	for _, want := range [][]string{{"b", "c"}, {"c"}, nil} {
		if got, err := readable(t, db, "s"); err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v; want %v: what has expired is hidden, and a stream of which all has expired is empty, not missing", got, err, want)
		}
		seconds.Add(10)
	}
	write(t, db, "s", esdb.Revision(2), event("d"))
	if got, err := readable(t, db, "s"); err != nil || !slices.Equal(got, []string{"d"}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestMetadataStream(t *testing.T) {
	db := start(t)
	if _, err := db.GetStreamMetadata(t.Context(), "s", esdb.ReadStreamOptions{}); err == nil {
		t.Error("a stream without metadata has some")
	}
	describe(t, db, "s", maxCount(7))
	describe(t, db, "s", maxCount(8))
	got, err := db.GetStreamMetadata(t.Context(), "s", esdb.ReadStreamOptions{})
	if err != nil || *got.MaxCount() != 8 {
		t.Errorf("got %v, %v; want a count of 8", got, err)
	}
	if found, err := readStream(t, db, "$$s", esdb.Forwards, esdb.Start{}, everything); err != nil || !slices.Equal(revisions(found), []uint64{1}) {
		t.Errorf("of a metadata stream only the newest event can be read; got %v, %v", revisions(found), err)
	}
	if _, err := readStream(t, db, "s", esdb.Forwards, esdb.Start{}, 1); code(err) != esdb.ErrorCodeResourceNotFound {
		t.Errorf("metadata alone makes a stream readable: %v", err)
	}
}

func TestSoftDelete(t *testing.T) {
	remove := func(db *esdb.Client, expected esdb.ExpectedRevision) (*esdb.DeleteResult, error) {
		return db.DeleteStream(t.Context(), "s", esdb.DeleteStreamOptions{ExpectedRevision: expected})
	}
	t.Run("the stream is not found, and goes on where it was", func(t *testing.T) {
		db := start(t)
		write(t, db, "s", esdb.NoStream{}, events("a", "b")...)
		result, err := remove(db, esdb.Revision(1))
		if err != nil || result.Position.Commit != 3 || result.Position.Prepare != 3 {
			t.Fatalf("got %+v, %v; want position 3", result, err)
		}
		if _, err := readable(t, db, "s"); code(err) != esdb.ErrorCodeResourceNotFound {
			t.Errorf("reading it: %v, want not found", err)
		}
		if result := write(t, db, "s", esdb.NoStream{}, events("c", "d")...); result.NextExpectedVersion != 3 || result.CommitPosition != 5 {
			t.Errorf("appending to it: %+v, want revision 3 at position 5", result)
		}
		if got, err := readable(t, db, "s"); err != nil || !slices.Equal(got, []string{"c", "d"}) {
			t.Errorf("got %v, %v", got, err)
		}
		if m, err := db.GetStreamMetadata(t.Context(), "s", esdb.ReadStreamOptions{}); err != nil || *m.TruncateBefore() != 2 {
			t.Errorf("metadata %v, %v; want $tb 2", m, err)
		}
	})
	t.Run("the metadata is replaced, and what is set afterwards is kept when the stream comes back", func(t *testing.T) {
		db := start(t)
		write(t, db, "s", esdb.NoStream{}, events("a", "b")...)
		describe(t, db, "s", maxCount(9))
		if _, err := remove(db, esdb.Any{}); err != nil {
			t.Fatal(err)
		}
		var kept esdb.StreamMetadata
		kept.AddCustomProperty("colour", "red")
		describe(t, db, "s", kept)
		if got, err := readable(t, db, "s"); err != nil || got != nil {
			t.Errorf("with new metadata it reads %v, %v; want empty", got, err)
		}
		write(t, db, "s", esdb.Revision(1), event("c"))
		m, err := db.GetStreamMetadata(t.Context(), "s", esdb.ReadStreamOptions{})
		if err != nil || m.MaxCount() != nil || *m.TruncateBefore() != 2 || m.CustomProperty("colour") != "red" {
			t.Errorf("metadata %+v, %v", m, err)
		}
		if got, err := readable(t, db, "s"); err != nil || !slices.Equal(got, []string{"c"}) {
			t.Errorf("got %v, %v", got, err)
		}
	})
	t.Run("deleted twice and appended to, before and after a restart", func(t *testing.T) {
		dir := t.TempDir()
		server := open(t, embedded.Options{Dir: dir})
		db := connect(t, dir)
		write(t, db, "s", esdb.NoStream{}, event("a"))
		for range 2 {
			if _, err := remove(db, esdb.Any{}); err != nil {
				t.Fatal(err)
			}
		}
		shut(t, server)
		open(t, embedded.Options{Dir: dir})
		db = connect(t, dir)
		if _, err := readable(t, db, "s"); code(err) != esdb.ErrorCodeResourceNotFound {
			t.Errorf("after a restart: %v, want not found", err)
		}
		write(t, db, "s", esdb.Revision(0), event("b"))
		if got, err := readable(t, db, "s"); err != nil || !slices.Equal(got, []string{"b"}) {
			t.Errorf("got %v, %v", got, err)
		}
	})
	for _, c := range []struct {
		clause   string
		given    []esdb.EventData
		expected esdb.ExpectedRevision
		want     esdb.ErrorCode
	}{
		{"a stream that never was, any: wrong version", nil, esdb.Any{}, esdb.ErrorCodeUnknown},
		{"a stream that never was, no stream: wrong version", nil, esdb.NoStream{}, esdb.ErrorCodeUnknown},
		{"a stream that never was, exists: wrong version", nil, esdb.StreamExists{}, esdb.ErrorCodeUnknown},
		{"an earlier revision: wrong version", events("a", "b"), esdb.Revision(0), esdb.ErrorCodeUnknown},
		{"a later revision: wrong version", events("a", "b"), esdb.Revision(2), esdb.ErrorCodeUnknown},
		{"no stream, but there is one: wrong version", events("a", "b"), esdb.NoStream{}, esdb.ErrorCodeUnknown},
		{"exists, and it does", events("a", "b"), esdb.StreamExists{}, -1},
		{"any", events("a", "b"), esdb.Any{}, -1},
	} {
		t.Run(c.clause, func(t *testing.T) {
			db := start(t)
			if c.given != nil {
				write(t, db, "s", esdb.NoStream{}, c.given...)
			}
			if _, err := remove(db, c.expected); code(err) != c.want {
				t.Errorf("got %v, want code %d", err, c.want)
			}
		})
	}
}

func TestTombstone(t *testing.T) {
	bury := func(db *esdb.Client, expected esdb.ExpectedRevision) (*esdb.DeleteResult, error) {
		return db.TombstoneStream(t.Context(), "s", esdb.TombstoneStreamOptions{ExpectedRevision: expected})
	}
	t.Run("the stream and its metadata are deleted for ever", func(t *testing.T) {
		dir := t.TempDir()
		server := open(t, embedded.Options{Dir: dir})
		db := connect(t, dir)
		write(t, db, "s", esdb.NoStream{}, events("a", "b")...)
		describe(t, db, "s", maxCount(1))
		result, err := bury(db, esdb.Revision(1))
		if err != nil || result.Position.Commit != 4 {
			t.Fatalf("got %+v, %v; want position 4", result, err)
		}
		check := func(db *esdb.Client) {
			t.Helper()
			for _, stream := range []string{"s", "$$s"} {
				if _, err := readable(t, db, stream); code(err) != esdb.ErrorCodeStreamDeleted {
					t.Errorf("reading %s: %v, want deleted", stream, err)
				}
				_, err := db.AppendToStream(t.Context(), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, event("c"))
				if code(err) != esdb.ErrorCodeStreamDeleted {
					t.Errorf("appending to %s: %v, want deleted", stream, err)
				}
			}
			if _, err := bury(db, esdb.Any{}); code(err) != esdb.ErrorCodeStreamDeleted {
				t.Errorf("burying it again: %v, want deleted", err)
			}
			if got := names(readAll(t, db, esdb.Forwards, esdb.Start{}, everything)); !slices.Equal(got, []string{"a", "b", "$metadata", "$streamDeleted"}) {
				t.Errorf("$all has %v", got)
			}
		}
		check(db)
		shut(t, server)
		open(t, embedded.Options{Dir: dir})
		check(connect(t, dir))
	})
	for _, c := range []struct {
		clause   string
		given    []esdb.EventData
		expected esdb.ExpectedRevision
		want     esdb.ErrorCode
	}{
		{"a stream that never was, any", nil, esdb.Any{}, -1},
		{"a stream that never was, no stream", nil, esdb.NoStream{}, -1},
		{"a stream that never was, exists: wrong version", nil, esdb.StreamExists{}, esdb.ErrorCodeUnknown},
		{"an earlier revision: wrong version", events("a", "b"), esdb.Revision(0), esdb.ErrorCodeUnknown},
		{"the current revision", events("a", "b"), esdb.Revision(1), -1},
	} {
		t.Run(c.clause, func(t *testing.T) {
			db := start(t)
			if c.given != nil {
				write(t, db, "s", esdb.NoStream{}, c.given...)
			}
			if _, err := bury(db, c.expected); code(err) != c.want {
				t.Errorf("got %v, want code %d", err, c.want)
			}
		})
	}
}

func TestLinks(t *testing.T) {
	db := start(t)
	link := func(target string) esdb.EventData {
		e := typed("link to "+target, "$>")
		e.ContentType, e.Data = esdb.ContentTypeBinary, []byte(target)
		return e
	}
	write(t, db, "s", esdb.NoStream{}, events("a", "b", "c")...)
	write(t, db, "gone", esdb.NoStream{}, event("g"))
	write(t, db, "links", esdb.NoStream{}, link("1@s"), link("7@s"), link("0@gone"), link("0@s"), link("no link"))
	if _, err := db.TombstoneStream(t.Context(), "gone", esdb.TombstoneStreamOptions{}); err != nil {
		t.Fatal(err)
	}
	describe(t, db, "s", truncateBefore(1))

	found, err := drain(db.ReadStream(t.Context(), "links", esdb.ReadStreamOptions{ResolveLinkTos: true}, everything))
	if err != nil || len(found) != 5 {
		t.Fatal(found, err)
	}
	if e := found[0]; e.Event == nil || e.Link == nil || name(e.Event) != "b" || e.Event.EventNumber != 1 || e.Link.StreamID != "links" || *e.Commit != e.Link.Position.Commit {
		t.Errorf("a link is not resolved: %+v", e)
	}
	for i, why := range map[int]string{1: "an event that isn't there", 2: "a deleted stream", 3: "an event that is hidden"} {
		if e := found[i]; e.Event != nil || e.Link == nil {
			t.Errorf("a link to %s: %+v", why, e)
		}
	}
	if e := found[4]; e.Link != nil || string(e.Event.Data) != "no link" {
		t.Errorf("a link event without a target is an event like others: %+v", e)
	}
	plain, err := readStream(t, db, "links", esdb.Forwards, esdb.Start{}, 1)
	if err != nil || plain[0].Link != nil || plain[0].Event.EventType != "$>" {
		t.Errorf("links are resolved unasked: %+v, %v", plain, err)
	}
}
