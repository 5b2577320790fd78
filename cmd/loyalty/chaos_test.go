package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"loyalty/internal/proxytest"
	"loyalty/readmodels/leaderboard/redis/redistest"
	"loyalty/readmodels/ledger/postgres/postgrestest"
)

const (
	// chaosVariable is for how long things are killed, such as 10m; make chaos sets it.
	chaosVariable = "LOYALTY_CHAOS"
	// chaosSeedVariable has a sequence of kills come again, as far as the machine's timing lets it.
	chaosSeedVariable = "LOYALTY_CHAOS_SEED"
	chaosClients      = 12
	chaosCustomers    = 80
)

// victim is what is killed. One without revive comes back by itself.
type victim struct {
	name   string
	kill   func(pause time.Duration) bool
	revive func()
}

// chaos kills victims at random moments and brings each back after a random while.
type chaos struct {
	t      *testing.T
	random *rand.Rand
	began  time.Time
	down   map[*victim]time.Time // when to revive
	kills  map[string]int
	log    []string
}

func (c *chaos) note(format string, args ...any) {
	c.log = append(c.log, fmt.Sprintf("%7.3fs ", time.Since(c.began).Seconds())+fmt.Sprintf(format, args...))
}

// until lets time pass until a moment, and revives who is due before.
func (c *chaos) until(moment time.Time) {
	for c.t.Context().Err() == nil {
		var due *victim
		for v, at := range c.down {
			if at.Before(moment) && (due == nil || at.Before(c.down[due])) {
				due = v
			}
		}
		if due == nil {
			idle(c.t.Context(), time.Until(moment))
			return
		}
		idle(c.t.Context(), time.Until(c.down[due]))
		c.revive(due)
	}
}

func (c *chaos) revive(v *victim) {
	delete(c.down, v)
	v.revive()
	c.note("%s is back", v.name)
}

// run kills everything once in a random order, and again, until the time is over; the first round it finishes in any case.
func (c *chaos) run(victims []*victim, lasting time.Duration) {
	end := c.began.Add(lasting)
	for round := 0; round == 0 || time.Now().Before(end); round++ {
		deck := slices.Clone(victims)
		c.random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		for len(deck) > 0 && (round == 0 || time.Now().Before(end)) {
			v := deck[0]
			deck = deck[1:]
			c.until(time.Now().Add(time.Duration(100+c.random.IntN(1400)) * time.Millisecond))
			pause := time.Duration(1+c.random.IntN(1000)) * time.Millisecond
			if _, down := c.down[v]; down {
				c.revive(v)
			}
			if !v.kill(pause) {
				deck = append(deck, v) // it is down; its turn comes later
				continue
			}
			c.kills[v.name]++
			c.note("%s is killed for %v", v.name, pause)
			if v.revive != nil {
				c.down[v] = time.Now().Add(pause)
			}
		}
	}
	c.until(time.Now().Add(2 * time.Second)) // longer than any pause
}

func chaosSettings(t *testing.T) (lasting time.Duration, seed uint64) {
	t.Helper()
	lasting, seed = 22*time.Second, rand.Uint64()
	var err error
	if text := os.Getenv(chaosVariable); text != "" {
		if lasting, err = time.ParseDuration(text); err != nil {
			t.Fatalf("%s: %v", chaosVariable, err)
		}
	}
	if text := os.Getenv(chaosSeedVariable); text != "" {
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", chaosSeedVariable, err)
		}
	}
	return lasting, seed
}

func TestNothingIsLostOrDoubledInChaos(t *testing.T) {
	lasting, seed := chaosSettings(t)
	random := rand.New(rand.NewPCG(seed, 0))
	c := &chaos{t: t, random: random, down: map[*victim]time.Time{}, kills: map[string]int{}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s=%d had this sequence:\n%s", chaosSeedVariable, seed, strings.Join(c.log, "\n"))
		}
	})

	// Given every part in a process of its own
	binary := program
	if raceDetector {
		binary = filepath.Join(t.TempDir(), "loyalty")
		if err := buildRacingProgram(binary); err != nil {
			t.Fatal(err)
		}
		t.Setenv("GORACE", "atexit_sleep_ms=20 "+os.Getenv("GORACE")) // else each waits a second before it ends
	}
	s := &site{t: t, postgres: postgrestest.Start(t), redis: redistest.Start(t)}
	storeAddress, folder := quietAddress(t, random), t.TempDir()
	secrets := []string{"LOYALTY_TOKEN_SECRET=" + siteTokenSecret, "LOYALTY_PROXY_SECRET=" + siteProxySecret}
	s.settings = append(slices.Clone(secrets), theEventStore+"=esdb://"+storeAddress+"?tls=false", theLedger+"="+s.postgres.URL(), theLeaderboard+"="+s.redis.URL())
	ways := map[string]*proxytest.Proxy{}
	for _, setting := range []string{theEventStore, theLedger, theLeaderboard} {
		ways[setting] = s.wired(setting, "")
	}
	// A process whose role needs no read model serves the event store of its folder to all others.
	events := keep(t, random, binary, "event store", append(secrets, "LOYALTY_EVENTSTORE=embedded:"+folder+"/events", "LOYALTY_LEDGER=sqlite:"+folder+"/none", "LOYALTY_LEADERBOARD=memory:"),
		"--roles", "command", "--eventstore-addr", storeAddress)
	events.awaitReady()
	command := keep(t, random, binary, "command", s.settings, "--roles", "command")
	first := keep(t, random, binary, "first projecting", s.settings, "--roles", "project")
	second := keep(t, random, binary, "second projecting", s.settings, "--roles", "project")
	query := keep(t, random, binary, "query", s.settings, "--roles", "query")
	local := keep(t, random, binary, "query in memory", append(slices.Clone(s.settings), "LOYALTY_LEADERBOARD=memory:"), "--roles", "query")
	processes := []*kept{events, command, first, second, query, local}
	for _, k := range processes {
		k.awaitReady()
	}

	// When clients buy, return and look, and everything is killed
	load := &chaosLoad{t: t, c: s.chaosClient(command), screens: []*client{s.chaosClient(query), s.chaosClient(local)}, customers: chaosCustomers}
	stopping, stop := context.WithCancel(t.Context())
	finishing, finish := context.WithCancel(t.Context())
	defer finish()
	var clients sync.WaitGroup
	for n := range chaosClients {
		random := rand.New(rand.NewPCG(seed, uint64(n)+1))
		clients.Go(func() { load.run(stopping, finishing, fmt.Sprintf("till-%d", n), random) })
	}
	for n, screen := range load.screens {
		random := rand.New(rand.NewPCG(seed, uint64(n)+1000))
		clients.Go(func() { load.watch(stopping, random, screen) })
	}
	var victims []*victim
	for _, k := range processes {
		victims = append(victims, &victim{name: k.name, kill: k.kill})
	}
	victims = append(victims,
		&victim{name: "Postgres", kill: func(time.Duration) bool { s.postgres.Kill(); return true }, revive: s.postgres.Start},
		&victim{name: "Redis", kill: func(time.Duration) bool { s.redis.Stop(); return true }, revive: s.redis.Start},
	)
	for _, setting := range slices.Sorted(maps.Keys(ways)) {
		way := ways[setting]
		victims = append(victims, &victim{name: "the way to " + setting, kill: func(time.Duration) bool {
			failures[random.IntN(len(failures))].begin(way)
			return true
		}, revive: func() { way.Set(proxytest.Healthy) }})
	}
	// The same server, which loses what it has as well.
	c.began = time.Now()
	c.run(append(victims, &victim{name: "what Redis has", kill: func(time.Duration) bool {
		for v := range c.down {
			if v.name == "Redis" {
				c.revive(v)
			}
		}
		s.redis.Do("FLUSHALL")
		return true
	}}), lasting)
	stop()
	giveUp := time.AfterFunc(patience, finish)
	clients.Wait()
	giveUp.Stop()
	t.Logf("seed %d, killed %v; %v", seed, c.kills, load)

	// Then, once all have caught up, everything is there once and all agree
	for _, k := range processes {
		k.awaitReady()
	}
	barrier := load.order("barrier", "c-0", random)
	barrier.acknowledged = true
	load.deeds = append(load.deeds, barrier)
	var placed placedAnswer
	load.c.must(http.StatusCreated, &placed, webshop, http.MethodPost, barrier.path, barrier.body)
	for _, screen := range load.screens {
		for _, path := range []string{"/loyalty/c-0", "/loyalty/c-0/trail"} {
			waitFor(t, "all have caught up", func() bool {
				got, err := screen.call(customer("c-0"), http.MethodGet, path, nil, "Loyalty-Min-Position: "+placed.Position)
				return err == nil && got.status == http.StatusOK
			})
		}
	}
	log := s.readLog("esdb://" + storeAddress + "?tls=false")
	log.checkDeeds(load)
	for _, screen := range load.screens {
		screen.checkDashboards([]byte(siteProxySecret), screen.checkTrailsAgainst(log, placed.Position), placed.Position)
	}
	report := s.verified()
	for _, found := range report.Findings {
		if found.Drifted != 0 {
			t.Errorf("%+v", found)
		}
	}
	for _, v := range victims {
		if c.kills[v.name] == 0 {
			t.Errorf("%s was never killed", v.name)
		}
	}
}

// chaosClient gives up on an answer sooner than a process does.
func (s *site) chaosClient(k *kept) *client {
	transport := &http.Transport{MaxIdleConnsPerHost: chaosClients}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &client{t: s.t, base: k.base, secret: []byte(siteTokenSecret), http: &http.Client{Timeout: 5 * time.Second, Transport: transport}}
}
