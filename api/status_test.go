package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"loyalty/api"
	"loyalty/api/admin"
)

// statusOf asks an admin address how its process fares.
func statusOf(t *testing.T, admin string) (s admin.Status) {
	t.Helper()
	response, err := http.Get(admin + "/status.json")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil {
		err = json.Unmarshal(body, &s)
	}
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v in %s", response.Status, err, body)
	}
	return s
}

// Given a process that has answered orders, dashboards and what it refused
// When an operator looks
// Then each is counted once, under what it was.
func TestTheStatusCountsWhatWasAnswered(t *testing.T) {
	s := startStack(t, loadDocument(t))
	for range 3 {
		s.do(t, exchange{as: ann, method: "GET", path: "/loyalty/ann", header: after(s.end()), status: 200})
	}
	s.do(t, order("o-1", "10", "ann"))
	s.do(t, exchange{as: till, method: "POST", path: "/order/o-1", body: orderOf("10", "ann"), status: 200})
	s.do(t, exchange{as: till, method: "POST", path: "/orders", body: lineOf("o-2", `1`, "ann") + "\n" + lineOf("o-3", `1`, "bob"), header: ndjson, status: 200})
	s.do(t, exchange{as: ann, method: "GET", path: "/loyalty/bob", status: 403, code: "forbidden"})
	page := openPage(t, s.site, ann, "/loyalty/ann/live", "")
	page.next(t)
	got := statusOf(t, s.admin).Counts
	want := admin.Counts{Dashboards: 3, Orders: 3, Reads: 4, Writes: 3, ClientErrors: 1, LiveStreams: 1}
	if got != want {
		t.Errorf("counted are %+v, want %+v", got, want)
	}
}

// Given a look that takes its time
// When many ask at once, and more within the second
// Then all share one look; after a second there is another.
func TestOneLookIsForAllWhoAskWithinASecond(t *testing.T) {
	var looks atomic.Int64
	goOn := make(chan struct{})
	clock := &clock{now: time.Now()}
	s := serve(t, loadDocument(t), func(c *api.Config) {
		c.Now = clock.Now
		c.Ready = ready(func(context.Context) error { return errors.New("the leaderboard is loading") })
		c.Status = func(context.Context) admin.Status {
			looks.Add(1)
			<-goOn
			return admin.Status{Roles: []string{"query"}, Stores: []admin.StoreStatus{{Name: "ledger", Kind: "sqlite", Why: "the disk is gone"}}}
		}
	})
	var asking sync.WaitGroup
	for range 20 {
		asking.Go(func() {
			if got := statusOf(t, s.admin); got.NotReady != "query: the leaderboard is loading" || len(got.Stores) != 1 || got.Stores[0].Up {
				t.Errorf("the status is %+v", got)
			}
		})
	}
	close(goOn)
	asking.Wait()
	clock.advance(900 * time.Millisecond)
	statusOf(t, s.admin)
	if looks.Load() != 1 {
		t.Errorf("%d looks", looks.Load())
	}
	clock.advance(200 * time.Millisecond)
	statusOf(t, s.admin)
	if looks.Load() != 2 {
		t.Errorf("%d looks a second later", looks.Load())
	}
}

// Given a look that takes longer than one is good for, because a store is slow
// When others ask before it ends
// Then they get what it finds, and nobody looks again; for a process whose stores are slow is not to be asked more.
func TestASlowLookIsForAllWhoWaitedForIt(t *testing.T) {
	var looks atomic.Int64
	looking, goOn := make(chan struct{}, 2), make(chan struct{})
	clock := &clock{now: time.Now()}
	s := serve(t, loadDocument(t), func(c *api.Config) {
		c.Now = clock.Now
		c.Status = func(context.Context) admin.Status {
			looks.Add(1)
			looking <- struct{}{}
			<-goOn
			return admin.Status{Roles: []string{"query"}}
		}
	})
	var asking sync.WaitGroup
	asking.Go(func() { statusOf(t, s.admin) })
	<-looking
	clock.advance(1900 * time.Millisecond)
	asking.Go(func() { statusOf(t, s.admin) })
	close(goOn)
	asking.Wait()
	if looks.Load() != 1 {
		t.Errorf("%d looks", looks.Load())
	}
}

// What hangs is given two seconds, and what is known of the rest is told.
func TestAStatusIsToldAlsoWhileAStoreHangs(t *testing.T) {
	s := serve(t, loadDocument(t), func(c *api.Config) {
		c.Ready = ready(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		c.Status = func(ctx context.Context) admin.Status {
			<-ctx.Done()
			return admin.Status{Roles: []string{"query"}, Projections: []admin.ProjectionStatus{{Name: "ledger", Live: true}}}
		}
	})
	if got := statusOf(t, s.admin); got.NotReady == "" || len(got.Projections) != 1 || !got.Projections[0].Live || got.Projections[0].LagEvents != nil {
		t.Errorf("the status is %+v", got)
	}
}
