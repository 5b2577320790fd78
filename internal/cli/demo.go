package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"loyalty/api/auth"
	"loyalty/domain"
	"loyalty/internal/app"
	"loyalty/internal/cli/output"
)

const (
	// demoShoppers is how many customers the demo has, and demoOrdersPerSecond how much they buy together.
	demoShoppers        = 200
	demoOrdersPerSecond = 20
	// demoReturns is one return in so many orders.
	demoReturns = 15
	// demoRefresh is how often the dashboard is shown.
	demoRefresh = time.Second
	// demoTokens is how long its tokens are valid; each call has a new one.
	demoTokens = time.Hour
)

// demo is simulated customers. They use only the public API.
type demo struct {
	base   string
	secret []byte
	client *http.Client
	random *rand.Rand
	out    io.Writer
	// redraw is true on a terminal, where the dashboard stays in its place.
	redraw bool
}

// runDemo has customers order and shows the dashboard of one until ctx ends, which is no error.
func runDemo(ctx context.Context, base string, dir app.Folder, out io.Writer) error {
	secret, err := app.ReadSecret(dir.TokenSecretFile())
	if err != nil {
		return err
	}
	d := &demo{
		base: base, secret: secret, client: &http.Client{Timeout: 5 * time.Second}, out: out, redraw: output.IsTerminal(out),
		random: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)),
	}
	defer d.client.CloseIdleConnections()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var shopping error
	var all sync.WaitGroup
	all.Go(func() {
		defer stop()
		shopping = d.shop(ctx)
	})
	watching := d.watch(ctx)
	stop()
	all.Wait()
	if err := errors.Join(shopping, watching); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func shopper(n int) string { return fmt.Sprintf("shopper-%03d", n) }

// shop posts orders, and a return of some, at an even rate.
func (d *demo) shop(ctx context.Context) error {
	pace := time.NewTicker(time.Second / demoOrdersPerSecond)
	defer pace.Stop()
	channels := []domain.Channel{domain.Website, domain.Mobile, domain.Store}
	for n := 1; ; n++ {
		select {
		case <-pace.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		channel := channels[d.random.IntN(len(channels))]
		order := "demo-" + uuid.NewString()
		// Spending is uneven, as in life: a few buy much, most buy little.
		pence := int64(100 + d.random.ExpFloat64()*6000)
		body := map[string]any{
			"ItemIds":        []string{fmt.Sprintf("sku-%d", d.random.IntN(1000))},
			"paymentDetails": map[string]any{"amount": domain.FormatMinor(pence), "currency": domain.GBP, "method": "card"},
			"customerId":     shopper(int(d.random.ExpFloat64()*demoShoppers/4) % demoShoppers),
		}
		till := auth.Claims{Subject: "demo-" + string(channel), Role: auth.RoleChannel, Channel: channel}
		err := d.call(ctx, till, http.MethodPost, "/order/"+order, body, nil)
		if err != nil && !errors.Is(err, errDemoBusy) {
			return err
		}
		if err != nil || n%demoReturns != 0 {
			continue
		}
		refund := map[string]any{"amount": domain.FormatMinor(pence / 2), "reason": "changed my mind"}
		if err := d.call(ctx, till, http.MethodPost, "/order/"+order+"/returns/r-1", refund, nil); err != nil && !errors.Is(err, errDemoBusy) {
			return err
		}
	}
}

// demoRow and demoDashboard are the parts of a dashboard that the demo shows.
type demoRow struct {
	Rank      int64  `json:"rank"`
	ProxyName string `json:"proxyName"`
	Points    int64  `json:"points"`
	You       bool   `json:"you"`
}

type demoDashboard struct {
	You       *demoRow  `json:"you"`
	Top       []demoRow `json:"top"`
	Around    []demoRow `json:"around"`
	Customers int64     `json:"customers"`
}

// watch shows the dashboard of one customer every second.
func (d *demo) watch(ctx context.Context) error {
	refresh := time.NewTicker(demoRefresh)
	defer refresh.Stop()
	customer := shopper(demoShoppers / 4)
	claims := auth.Claims{Subject: customer, Role: auth.RoleCustomer}
	var lines int
	for {
		select {
		case <-refresh.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		var dashboard demoDashboard
		err := d.call(ctx, claims, http.MethodGet, "/loyalty/"+customer+"?top=10&around=2", nil, &dashboard)
		if errors.Is(err, errDemoBusy) {
			continue
		}
		if err != nil {
			return err
		}
		text := dashboard.text(customer)
		if d.redraw && lines > 0 {
			fmt.Fprintf(d.out, "\x1b[%dA\x1b[J", lines)
		}
		fmt.Fprint(d.out, text)
		lines = strings.Count(text, "\n")
	}
}

// text is the dashboard as a table.
func (d demoDashboard) text(customer string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Dashboard of %s, one of %d customers with points\n", customer, d.Customers)
	row := func(r demoRow) {
		mark := ""
		if r.You {
			mark = "  <- you"
		}
		fmt.Fprintf(&b, "  %5d  %-28s %8d%s\n", r.Rank, r.ProxyName, r.Points, mark)
	}
	for _, r := range d.Top {
		row(r)
	}
	if d.You == nil {
		b.WriteString("  (no points yet)\n")
	}
	if len(d.Around) > 0 && d.Around[0].Rank > int64(len(d.Top))+1 {
		b.WriteString("    ...\n")
	}
	for _, r := range d.Around {
		if r.Rank > int64(len(d.Top)) {
			row(r)
		}
	}
	b.WriteByte('\n')
	return b.String()
}

// errDemoBusy is an answer after which to try again: the system is starting, or overloaded.
var errDemoBusy = errors.New("the system is not ready")

// call makes one request with a fresh token, and reads the answer into result if that is not nil.
func (d *demo) call(ctx context.Context, who auth.Claims, method, path string, body, result any) error {
	token, err := auth.Mint(d.secret, who, demoTokens, time.Now())
	if err != nil {
		return err
	}
	var payload bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&payload).Encode(body); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, d.base+path, &payload)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := d.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	switch {
	case err != nil:
		return err
	case response.StatusCode == http.StatusServiceUnavailable:
		return errDemoBusy
	case response.StatusCode >= 300:
		return fmt.Errorf("demo: %s %s: %s: %s", method, path, response.Status, answer)
	case result == nil:
		return nil
	}
	return json.Unmarshal(answer, result)
}
