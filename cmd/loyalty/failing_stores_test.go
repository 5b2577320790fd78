package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"loyalty/internal/proxytest"
)

// answerWithin is what docs/operations.md promises of every answer while a store is down, however it is.
const answerWithin = 3 * time.Second

// The stores of a site, by their settings.
const (
	theEventStore  = "LOYALTY_EVENTSTORE"
	theLedger      = "LOYALTY_LEDGER"
	theLeaderboard = "LOYALTY_LEADERBOARD"
)

// failure is a way in which stores are away. Each begins with connections that work.
type failure struct {
	name  string
	begin func(*proxytest.Proxy)
}

var failures = []failure{
	{"hanging", func(p *proxytest.Proxy) { p.Set(proxytest.Hung) }},
	{"unplugged", fallSilent},
	{"losing answers", func(p *proxytest.Proxy) { p.Set(proxytest.LosingAnswers) }},
	{"cut off in the middle of answers", func(p *proxytest.Proxy) { p.Set(proxytest.CuttingAnswers) }},
	{"cut off in the middle of requests", func(p *proxytest.Proxy) { p.Set(proxytest.CuttingRequests) }},
	{"refusing", func(p *proxytest.Proxy) { p.Set(proxytest.Refusing); p.CutAll() }},
}

// plant is a site with a process for each role, whose stores can fail.
type plant struct {
	*site
	proxies                                map[string]*proxytest.Proxy
	command, query, local, project         *process
	ordering, screen, localScreen, support *client
	orders                                 int
	position                               string // of the last order
}

func openPlant(t *testing.T) *plant {
	t.Helper()
	s := openSite(t)
	p := &plant{site: s, proxies: map[string]*proxytest.Proxy{}}
	for _, setting := range []string{theEventStore, theLedger, theLeaderboard} {
		p.proxies[setting] = s.wired(setting, "")
	}
	p.project, p.command, p.query, p.local = s.role("project"), s.role("command"), s.role("query"), s.role("query", "LOYALTY_LEADERBOARD=memory:")
	p.ordering, p.screen, p.localScreen, p.support = s.client(p.command), s.client(p.query), s.client(p.local), s.client(p.query)
	return p
}

// order places the order of this number, of one point for c-0.
func (p *plant) order(n int) (answer, error) {
	return p.ordering.call(webshop, http.MethodPost, fmt.Sprintf("/order/o-%d", n), orderBody("c-0", "10.00"))
}

// settle waits until every role has all orders of before.
func (p *plant) settle() {
	p.t.Helper()
	waitFor(p.t, "the order to be placed", func() bool {
		got, err := p.order(p.orders)
		if err != nil || got.status != http.StatusOK && got.status != http.StatusCreated {
			return false
		}
		var placed placedAnswer
		if err := json.Unmarshal(got.body, &placed); err != nil {
			p.t.Fatal(err)
		}
		p.position = placed.Position
		return true
	})
	for name, look := range map[string]func() (answer, error){
		"Redis": func() (answer, error) {
			return p.screen.call(customer("c-0"), http.MethodGet, "/loyalty/c-0", nil, "Loyalty-Min-Position: "+p.position)
		},
		"memory": func() (answer, error) {
			return p.localScreen.call(customer("c-0"), http.MethodGet, "/loyalty/c-0", nil, "Loyalty-Min-Position: "+p.position)
		},
		"trail": func() (answer, error) {
			return p.support.call(customer("c-0"), http.MethodGet, "/loyalty/c-0/trail", nil, "Loyalty-Min-Position: "+p.position)
		},
	} {
		waitFor(p.t, name+" to have the order", func() bool {
			got, err := look()
			return err == nil && got.status == http.StatusOK
		})
	}
}

// expect asks for everything at once, and compares what is answered with what works without some stores.
func (p *plant) expect(when string, away []string) {
	p.t.Helper()
	is := func(setting string) bool { return slices.Contains(away, setting) }
	p.orders++
	n := p.orders
	var asking sync.WaitGroup
	for what, ask := range map[string]struct {
		works bool
		call  func() (answer, error)
	}{
		"an order":    {!is(theEventStore), func() (answer, error) { return p.order(n) }},
		"a dashboard": {!is(theLeaderboard), func() (answer, error) { return p.screen.call(customer("c-0"), http.MethodGet, "/loyalty/c-0", nil) }},
		"a dashboard in memory": {true, func() (answer, error) {
			return p.localScreen.call(customer("c-0"), http.MethodGet, "/loyalty/c-0", nil)
		}},
		"a trail": {!is(theLedger), func() (answer, error) {
			return p.support.call(customer("c-0"), http.MethodGet, "/loyalty/c-0/trail", nil)
		}},
		"whether it takes orders":  {!is(theEventStore), p.command.asked("/readyz?role=command")},
		"whether it shows Redis":   {true, p.query.asked("/readyz?role=query")},
		"whether it shows its own": {true, p.local.asked("/readyz?role=query")},
		"metrics":                  {true, p.project.asked("/metrics")},
		"the status":               {true, p.project.asked("/status.json")},
	} {
		asking.Go(func() {
			began := time.Now()
			got, err := ask.call()
			took := time.Since(began)
			want := []int{http.StatusServiceUnavailable}
			if ask.works {
				want = []int{http.StatusOK, http.StatusCreated}
			}
			if err != nil || !slices.Contains(want, got.status) || took > answerWithin {
				p.t.Errorf("%s, %s is answered with %d after %s: %s, %v", when, what, got.status, took.Round(time.Millisecond), got.body, err)
			}
			if got.status == http.StatusServiceUnavailable && strings.HasPrefix(what, "a") && got.header.Get("Retry-After") == "" {
				p.t.Errorf("%s, %s is answered without Retry-After", when, what)
			}
		})
	}
	asking.Wait()
}

// asked asks for a path of the address for operators.
func (p *process) asked(path string) func() (answer, error) {
	return func() (answer, error) {
		response, err := operator.Get(p.admin + path)
		if err != nil {
			return answer{}, err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return answer{response.StatusCode, response.Header, body}, err
	}
}

var goroutinesLine = regexp.MustCompile(`(?m)^go_goroutines (\d+)$`)

// goroutines is how many goroutines the process has.
func (p *process) goroutines() int {
	p.t.Helper()
	_, metrics := p.operators("/metrics")
	found := goroutinesLine.FindStringSubmatch(metrics)
	if found == nil {
		p.t.Fatalf("no number of goroutines in %s", metrics)
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// Given every role in a process of its own
// When all stores hang, are unplugged, lose answers, are cut off or refuse, and when each hangs by itself
// Then what docs/operations.md promises for each works, everything is answered within 3 s, and once the stores are back everything goes on, no
// order is lost or counted twice, and no goroutine and no connection is left behind.
func TestWhatAStoreThatIsAwayMeans(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := openPlant(t)
	all := slices.Sorted(maps.Keys(p.proxies))
	p.expect("at first", nil)
	p.settle()
	processes := map[string]*process{"command": p.command, "query": p.query, "query in memory": p.local, "project": p.project}
	goroutines, connections := map[string]int{}, map[string]int{}
	for name, process := range processes {
		goroutines[name] = process.goroutines()
	}
	for name, proxy := range p.proxies {
		connections[name] = proxy.Open()
	}
	try := func(how failure, away ...string) {
		t.Helper()
		when := fmt.Sprintf("with %s %s", strings.Join(away, " and "), how.name)
		began := time.Now()
		for _, each := range away {
			how.begin(p.proxies[each])
		}
		p.expect(when, away)
		for _, each := range away {
			p.proxies[each].Set(proxytest.Healthy)
		}
		healed := time.Now()
		p.settle()
		t.Logf("%s: %s, and %s until all is well", when, healed.Sub(began).Round(time.Millisecond), time.Since(healed).Round(time.Millisecond))
	}
	for _, how := range failures {
		try(how, all...)
	}
	for _, each := range all {
		try(failures[0], each)
	}

	var shown dashboardAnswer
	p.localScreen.must(http.StatusOK, &shown, customer("c-0"), http.MethodGet, "/loyalty/c-0", nil, "Loyalty-Min-Position: "+p.position)
	if shown.You == nil || int(shown.You.Points) != p.orders {
		t.Errorf("after %d orders of one point each the dashboard is %+v", p.orders, shown.You)
	}
	// What is asked at once may keep a connection and its goroutines for a while. That is less than one for each failure.
	const spare = 4
	for name, process := range processes {
		waitFor(t, fmt.Sprintf("the %s process to have no more than %d goroutines", name, goroutines[name]+spare), func() bool { return process.goroutines() <= goroutines[name]+spare })
	}
	for name, proxy := range p.proxies {
		waitFor(t, fmt.Sprintf("no more than %d connections of %s", connections[name]+spare, name), func() bool { return proxy.Open() <= connections[name]+spare })
	}
}
