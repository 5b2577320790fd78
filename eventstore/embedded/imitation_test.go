package embedded_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/metadata"

	"loyalty/eventstore/embedded"
)

// imitate serves a new folder with an Imitation, and connects to its socket.
func imitate(t *testing.T, addr, version string) (*embedded.Imitation, *embedded.Server, *esdb.Client) {
	t.Helper()
	i, dir := &embedded.Imitation{}, t.TempDir()
	server := open(t, embedded.Options{Dir: dir, Addr: addr, Version: version, Imitation: i})
	return i, server, connect(t, dir)
}

// requiring is the context of calls that require the leader.
func requiring(t *testing.T) context.Context {
	return metadata.AppendToOutgoingContext(t.Context(), "requires-leader", "true")
}

// readNames reads $all forwards from its start.
func readNames(ctx context.Context, db *esdb.Client) ([]string, error) {
	all, err := drain(db.ReadAll(ctx, esdb.ReadAllOptions{From: esdb.Start{}}, 1000))
	return names(all), err
}

func wantNames(t *testing.T, what string, got []string, err error, want ...string) {
	t.Helper()
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%s: got %q, %v; want %q", what, got, err, want)
	}
}

func TestAScavengedEventIsInNoReadAndNoSubscription(t *testing.T) {
	i, _, db := imitate(t, "", "")
	write(t, db, "s", esdb.NoStream{}, events("a", "b", "c")...)
	i.Scavenge(1, 2)
	got, err := readNames(t.Context(), db)
	wantNames(t, "$all forwards", got, err, "c")
	got = nil
	backwards, err := drain(db.ReadAll(t.Context(), esdb.ReadAllOptions{From: at(3), Direction: esdb.Backwards}, 10))
	if len(backwards) != 0 || err != nil {
		t.Errorf("$all backwards from the third: got %d events, %v; want none", len(backwards), err)
	}
	stream, err := readStream(t, db, "s", esdb.Forwards, esdb.Start{}, 1)
	if err != nil || len(stream) != 1 || stream[0].OriginalEvent().EventNumber != 2 || stream[0].OriginalEvent().Position.Commit != 3 {
		t.Errorf("the stream: got %v, %v; want its third event, where it always was", stream, err)
	}
	expect(t, followAll(t, db, esdb.SubscribeToAllOptions{From: esdb.Start{}}), "c", "caught up")
}

func TestASubscriptionBehindAScavengedEventSkipsTheNextOneOn2310Only(t *testing.T) {
	noted := &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{"noted."}}
	for _, c := range []struct {
		name      string
		scavenged []uint64
		from      uint64
		filter    *esdb.SubscriptionFilter
		want2310  []string
		later     []string
	}{
		{"the event is scavenged", []uint64{1, 2}, 2, nil, []string{"d", "caught up"}, []string{"c", "d", "caught up"}},
		{"more of them are", []uint64{1, 2}, 1, nil, []string{"d", "caught up"}, []string{"c", "d", "caught up"}},
		{"the event is there", []uint64{1}, 2, nil, []string{"c", "d", "caught up"}, []string{"c", "d", "caught up"}},
		{"everything behind is scavenged", []uint64{3, 4}, 3, nil, []string{"caught up"}, []string{"caught up"}},
		{"filtered", []uint64{1, 2}, 2, noted, []string{"d", "caught up"}, []string{"c", "d", "checkpoint 4", "caught up"}},
		{"the next is another's", []uint64{1}, 1, noted, []string{"c", "d", "caught up"}, []string{"c", "d", "checkpoint 4", "caught up"}},
	} {
		for _, version := range embedded.Versions() {
			t.Run(c.name+" on "+version, func(t *testing.T) {
				i, _, db := imitate(t, "", version)
				write(t, db, "others", esdb.NoStream{}, typed("a", "other.v1"), typed("b", "other.v1"))
				write(t, db, "ours", esdb.NoStream{}, event("c"), event("d"))
				i.Scavenge(c.scavenged...)
				want := c.later
				if version == "23.10.8" {
					want = c.want2310
				}
				expect(t, followAll(t, db, esdb.SubscribeToAllOptions{From: at(c.from), Filter: c.filter}), want...)
			})
		}
	}
}

func TestALaggingServerShowsTheLogUpToAPosition(t *testing.T) {
	i, _, db := imitate(t, "", "")
	write(t, db, "s", esdb.NoStream{}, event("a"))
	i.Lag(1)
	write(t, db, "s", esdb.Revision(0), event("b"))
	got, err := readNames(t.Context(), db)
	wantNames(t, "a read", got, err, "a")
	got, err = readNames(requiring(t), db)
	wantNames(t, "a read that requires the leader", got, err, "a", "b")
	last, err := drain(db.ReadAll(t.Context(), esdb.ReadAllOptions{From: esdb.End{}, Direction: esdb.Backwards}, 1))
	if err != nil || len(last) != 1 || name(last[0].OriginalEvent()) != "a" {
		t.Errorf("the end: got %v, %v; want a", last, err)
	}
	if stream, err := readStream(t, db, "s", esdb.Forwards, esdb.Start{}, 10); err != nil || len(stream) != 1 {
		t.Errorf("the stream: got %d events, %v; want 1", len(stream), err)
	}

	lagging := followAll(t, db, esdb.SubscribeToAllOptions{From: esdb.Start{}})
	expect(t, lagging, "a", "caught up")
	leading, err := db.SubscribeToAll(requiring(t), esdb.SubscribeToAllOptions{From: esdb.Start{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = leading.Close() })
	expect(t, leading, "a", "b", "caught up")

	i.Lag(2)
	expect(t, lagging, "b")
	write(t, db, "s", esdb.Revision(1), event("c"))
	i.Lag(1)
	write(t, db, "s", esdb.Revision(2), event("d"))
	i.CatchUp()
	expect(t, lagging, "c", "d")
	expect(t, leading, "c", "d")
}

func TestAFollowerSendsThoseWhoRequireTheLeaderToIt(t *testing.T) {
	i, server, db := imitate(t, "127.0.0.1:0", "")
	write(t, db, "s", esdb.NoStream{}, event("a"))
	i.Lag(1)
	write(t, db, "s", esdb.Revision(0), event("b"))

	leader := client(t, "esdb://"+server.Addr()+"?tls=false")
	got, err := readNames(t.Context(), leader)
	wantNames(t, "the leader", got, err, "a", "b")

	follower := client(t, "esdb://"+i.Follower()+"?tls=false")
	got, err = readNames(t.Context(), follower)
	wantNames(t, "the follower", got, err, "a")
	write(t, follower, "s", esdb.Revision(1), event("c"))
	for what, call := range map[string]func(context.Context, *esdb.Client) error{
		"read": func(ctx context.Context, db *esdb.Client) error { _, err := readNames(ctx, db); return err },
		"append": func(ctx context.Context, db *esdb.Client) error {
			_, err := db.AppendToStream(ctx, "s", esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, event("c"))
			return err
		},
		"subscribe": func(ctx context.Context, db *esdb.Client) error {
			sub, err := db.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{})
			if err == nil {
				_ = sub.Close()
			}
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			db := client(t, "esdb://"+i.Follower()+"?tls=false")
			if err := call(requiring(t), db); code(err) != esdb.ErrorCodeNotLeader {
				t.Fatalf("got %v, want that it is not the leader", err)
			}
			if err := call(requiring(t), db); err != nil {
				t.Errorf("the client went on to the leader: got %v", err)
			}
		})
	}
	t.Run("discovery finds both", func(t *testing.T) {
		for preference, want := range map[string][]string{"leader": {"a", "b", "c"}, "follower": {"a"}} {
			db := client(t, fmt.Sprintf("esdb+discover://%s?tls=false&nodePreference=%s", i.Follower(), preference))
			got, err := readNames(t.Context(), db)
			wantNames(t, preference, got, err, want...)
		}
	})
}
