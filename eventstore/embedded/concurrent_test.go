package embedded_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// These tests are about requests that are decided in one batch, before any of them is on disk.

func TestManyAtOnceWithTheSameEventsWriteThemOnce(t *testing.T) {
	db := start(t)
	const clients, rounds = 32, 20
	for round := range rounds {
		stream := fmt.Sprint("order-", round)
		pair := events(stream+"-placed", stream+"-awarded")
		answers := make([]*esdb.WriteResult, clients)
		var appending sync.WaitGroup
		for i := range clients {
			appending.Go(func() { answers[i] = write(t, db, stream, esdb.NoStream{}, pair...) })
		}
		appending.Wait()
		for _, a := range answers {
			if *a != *answers[0] {
				t.Errorf("answers differ: %+v and %+v", a, answers[0])
			}
		}
	}
	if all := readAll(t, db, esdb.Forwards, esdb.Start{}, everything); len(all) != 2*rounds {
		t.Errorf("%d events, want %d", len(all), 2*rounds)
	}
}

func TestOfManyAtOnceExpectingTheSameRevisionOneWins(t *testing.T) {
	db := start(t)
	const clients, each = 16, 20
	var mu sync.Mutex
	var won []string
	var appending sync.WaitGroup
	for c := range clients {
		appending.Go(func() {
			for i := range each {
				for n := fmt.Sprintf("%d-%d", c, i); ; {
					expected := esdb.ExpectedRevision(esdb.NoStream{})
					if last, err := readStream(t, db, "s", esdb.Backwards, esdb.End{}, 1); err == nil {
						expected = esdb.Revision(last[0].Event.EventNumber)
					}
					_, err := db.AppendToStream(t.Context(), "s", esdb.AppendToStreamOptions{ExpectedRevision: expected}, event(n))
					if err == nil {
						mu.Lock()
						won = append(won, n)
						mu.Unlock()
						break
					}
					if code(err) != esdb.ErrorCodeWrongExpectedVersion {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	appending.Wait()
	found, err := readStream(t, db, "s", esdb.Forwards, esdb.Start{}, everything)
	if err != nil {
		t.Fatal(err)
	}
	got := names(found)
	slices.Sort(got)
	slices.Sort(won)
	if !slices.Equal(got, won) {
		t.Errorf("%d events are there, %d appends succeeded", len(got), len(won))
	}
}

// TestAnIDUsedInTwoStreamsAtOnce repeats appends while others use the same ids elsewhere, so that the cache of recent ids
// alone can't tell.
func TestAnIDUsedInTwoStreamsAtOnce(t *testing.T) {
	db := start(t)
	const clients = 24
	for round := range 20 {
		e := event(fmt.Sprint("shared ", round))
		var appending sync.WaitGroup
		for i := range clients {
			appending.Go(func() {
				stream := fmt.Sprintf("s%d-%d", i%3, round)
				if result := write(t, db, stream, esdb.NoStream{}, e); result.NextExpectedVersion != 0 {
					t.Errorf("%s: revision %d", stream, result.NextExpectedVersion)
				}
			})
		}
		appending.Wait()
	}
	if all := readAll(t, db, esdb.Forwards, esdb.Start{}, everything); len(all) != 60 {
		t.Errorf("%d events, want 60", len(all))
	}
}

func TestDeletedAndAppendedToAtOnce(t *testing.T) {
	db := start(t)
	const rounds = 200
	write(t, db, "s", esdb.NoStream{}, event("first"))
	var working sync.WaitGroup
	for c := range 4 {
		working.Go(func() {
			for i := range rounds {
				write(t, db, "s", esdb.Any{}, event(fmt.Sprintf("%d-%d", c, i)))
			}
		})
	}
	working.Go(func() {
		for range rounds {
			if _, err := db.DeleteStream(t.Context(), "s", esdb.DeleteStreamOptions{}); err != nil {
				t.Error(err)
			}
		}
	})
	working.Wait()
	// Whatever the order was: $all says which events came after the last delete, and exactly those can be read.
	var want []uint64
	for _, e := range readAll(t, db, esdb.Forwards, esdb.Start{}, everything) {
		switch {
		case string(e.Event.Data) == `{"$tb":9223372036854775807}`:
			want = nil
		case e.Event.StreamID == "s":
			want = append(want, e.Event.EventNumber)
		}
	}
	found, err := readStream(t, db, "s", esdb.Forwards, esdb.Start{}, everything)
	if len(want) == 0 && code(err) == esdb.ErrorCodeResourceNotFound {
		return
	}
	if err != nil || !slices.Equal(revisions(found), want) {
		t.Errorf("got %v, %v; want %v", revisions(found), err, want)
	}
}
