package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"loyalty/api/auth"
	"loyalty/domain"
)

// BenchmarkOpenPages keeps 1,000 dashboards open on the real program while 100 orders a second are placed, a tenth of them by the
// best ten customers, whom every page shows. It reports how long it takes from an order's being sent until it shows on the pages
// concerned, and by how much the process grew for each page: when they were open, and after all orders.
func BenchmarkOpenPages(b *testing.B) {
	const open, best, orders, perSecond = 1000, 10, 2000, 100
	// Before the pages are opened there are more orders than while they are, so that what orders take is not taken for theirs.
	const before = 3
	data := b.TempDir()
	// A process collects garbage so rarely that most of what it takes would be garbage of orders.
	p := start(b, []string{"GOGC=100"}, "dev", "--addr", "127.0.0.1:0", "--data", data)
	c := newClient(b, p, data)
	owner := func(i int) string { return fmt.Sprintf("c-%d", i) }
	var last placedAnswer
	for n := range before * open {
		i := n % open
		pounds := 1000 + i
		if i < best {
			pounds = 200_000 - 10_000*i
		}
		c.must(http.StatusCreated, &last, webshop, http.MethodPost, fmt.Sprintf("/order/seed-%d", n), orderBody(owner(i), fmt.Sprint(pounds)))
	}
	c.must(http.StatusOK, nil, supportClaims, http.MethodGet, "/loyalty/c-0", nil, "Loyalty-Min-Position: "+last.Position)

	unopened := p.resident(b)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	pages := make([]*openedPage, open)
	var reading sync.WaitGroup
	for i := range pages {
		pages[i] = openLive(b, ctx, c, owner(i))
		reading.Go(pages[i].read)
	}
	waitFor(b, "all pages to show something", func() bool {
		return !slices.ContainsFunc(pages, func(page *openedPage) bool { return page.at() == 0 })
	})
	opened := p.resident(b)

	type placing struct {
		by   int
		sent time.Time
		at   uint64
	}
	placed := make([]placing, orders)
	random := rand.New(rand.NewPCG(1, 2))
	var sending sync.WaitGroup
	pace := time.NewTicker(time.Second / perSecond)
	defer pace.Stop()
	b.ResetTimer()
	for n := range placed {
		by := best + random.IntN(open-best)
		if n%10 == 0 {
			by = random.IntN(best)
		}
		<-pace.C
		sending.Go(func() {
			sent := time.Now()
			var answer placedAnswer
			c.must(http.StatusCreated, &answer, webshop, http.MethodPost, fmt.Sprintf("/order/o-%d", n), orderBody(owner(by), "100"))
			placed[n] = placing{by, sent, commitOf(b, answer.Position)}
		})
	}
	sending.Wait()
	concerned := func(of placing) []*openedPage {
		if of.by < best {
			return pages
		}
		return pages[of.by : of.by+1]
	}
	for _, order := range placed {
		for _, page := range concerned(order) {
			waitFor(b, "an order to show", func() bool { return page.at() >= order.at })
		}
	}
	b.StopTimer()
	after := p.resident(b)
	cancel()
	reading.Wait()

	var took []time.Duration
	for _, order := range placed {
		for _, page := range concerned(order) {
			took = append(took, page.shown(order.at).Sub(order.sent))
		}
	}
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(took[len(took)/2]), "p50-ms")
	b.ReportMetric(ms(took[len(took)*99/100]), "p99-ms")
	b.ReportMetric(ms(took[len(took)-1]), "max-ms")
	b.ReportMetric(float64(len(took)), "updates")
	b.ReportMetric(float64(opened-unopened)/open/1024, "KiB/page")
	b.ReportMetric(float64(after-unopened)/open/1024, "KiB/page-after")
	b.ReportMetric(0, "ns/op")
}

// openedPage is one customer's open dashboard, and when it showed what.
type openedPage struct {
	body io.ReadCloser
	mu   sync.Mutex
	seen []glimpse
}

// glimpse is what a page showed from a moment on: the log up to a position.
type glimpse struct {
	when time.Time
	at   uint64
}

func openLive(b *testing.B, ctx context.Context, c *client, id string) *openedPage {
	token, err := auth.Mint(c.secret, customer(id), time.Hour, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/loyalty/"+id+"/live", nil)
	if err != nil {
		b.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	// Without the client's timeout, which would end the page.
	response, err := c.http.Transport.RoundTrip(request)
	if err != nil || response.StatusCode != http.StatusOK {
		b.Fatal(response, err)
	}
	return &openedPage{body: response.Body}
}

// read notes what the page shows until its connection ends.
func (p *openedPage) read() {
	defer p.body.Close()
	for lines := bufio.NewScanner(p.body); lines.Scan(); {
		id, ok := strings.CutPrefix(lines.Text(), "id: ")
		if !ok {
			continue
		}
		if position, err := domain.ParsePosition("id", id); err == nil {
			p.mu.Lock()
			p.seen = append(p.seen, glimpse{time.Now(), position.Commit})
			p.mu.Unlock()
		}
	}
}

// at is the newest position that the page shows, 0 before it shows anything.
func (p *openedPage) at() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.seen) == 0 {
		return 0
	}
	return p.seen[len(p.seen)-1].at
}

// shown is when the page first showed a position.
func (p *openedPage) shown(position uint64) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, _ := slices.BinarySearchFunc(p.seen, position, func(g glimpse, want uint64) int { return cmp.Compare(g.at, want) })
	return p.seen[i].when
}

func commitOf(b *testing.B, text string) uint64 {
	position, err := domain.ParsePosition("position", text)
	if err != nil {
		b.Fatal(err)
	}
	return position.Commit
}
