package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"loyalty/api/browsertest"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/internal/app"
	"loyalty/internal/secret"
)

// Given a month of orders
// When pages are opened on a phone and on a desktop
// Then they fit. LOYALTY_SCREENSHOTS names a folder for pictures of them.
func TestPagesWithAMonthOfOrdersFit(t *testing.T) {
	const widest = 250 << 10 // bytes of a picture
	dir := os.Getenv("LOYALTY_SCREENSHOTS")
	data := t.TempDir()
	made := aMonth(t, app.Folder(data))
	p := startDev(t, data)
	take := func(t *testing.T, tab *browsertest.Tab, name string) {
		t.Helper()
		for _, width := range []int64{360, 1280} {
			tab.Size(width, 800)
			tab.Fits()
			if dir == "" {
				continue
			}
			file := filepath.Join(dir, fmt.Sprintf("%s-%d.png", name, width))
			tab.Screenshot(file)
			if info, err := os.Stat(file); err != nil || info.Size() > widest {
				t.Errorf("the picture is too large: %v, %v", info, err)
			}
		}
	}

	t.Run("dashboard", func(t *testing.T) {
		tab := browse(t, p.base, "/", made.customer)
		tab.Wait(`deep("tr.self") && deep("tbody").rows.length >= 10`)
		take(t, tab, "dashboard")
		tab.Dark(true)
		take(t, tab, "dashboard-dark")
	})
	t.Run("support", func(t *testing.T) {
		tab := browse(t, p.base, "/support", "agent-1")
		tab.Type("#q", made.order)
		press(tab, "#search", "Search")
		shows(tab, "#entry", "everything agrees")
		tab.Wait(`document.querySelector("#rank") && document.querySelectorAll("#trail tbody tr").length > 3`)
		take(t, tab, "support")
	})
	t.Run("analysis", func(t *testing.T) {
		tab := browse(t, p.base, "/analysis", "analyst-1")
		tab.Wait(`document.querySelectorAll("#board tbody tr").length === 10`)
		tab.Drag("#slider", 0.7)
		shows(tab, "#board caption", "what is different from now")
		take(t, tab, "analysis")
		press(tab, "#views", "Points over time")
		tab.Wait(`document.querySelector("#chart svg") && document.querySelector("#points-totals tbody")`)
		take(t, tab, "analysis-points")
	})
	t.Run("status", func(t *testing.T) {
		tab := browsertest.Open(t)
		tab.Go(p.admin + "/status")
		shows(tab, "main", "leaderboard")
		c := newClient(t, p, data)
		for n := range 40 {
			c.must(http.StatusCreated, nil, webshop, http.MethodPost, fmt.Sprintf("/order/late-%d", n), orderBody(demoShopper(n), 2000))
			c.must(http.StatusOK, nil, customer(demoShopper(n)), http.MethodGet, "/loyalty/"+demoShopper(n), nil)
		}
		tab.Wait(`document.querySelector("#rates").textContent && !document.querySelector("#rates").textContent.includes("–")`)
		take(t, tab, "status")
		lookedAt(tab)
	})
}

// month is what aMonth made up: a customer who is somewhere in the middle, and an order of theirs that was brought back in part.
type month struct{ customer, order string }

// aMonth has customers buy and bring back things in a new folder for the month until now. But for when it is, it is the same each time.
func aMonth(t *testing.T, data app.Folder) (made month) {
	t.Helper()
	const customers, orders, chosen = 60, 600, 38
	// With it, customers' names are always those of the pictures.
	if err := os.WriteFile(data.ProxySecretFile(), []byte(secret.AsText+strings.Repeat("\x5e\xed", 16)), 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now().UTC().AddDate(0, 0, -30)
	step := time.Since(began) / (2*orders + 2)
	var steps atomic.Int64 // an order each two, a return between
	now := func() time.Time { return began.Add(time.Duration(steps.Load()) * step) }
	options := app.Quiet()
	options.Now = now
	s, err := app.Connections{Eventstore: app.EmbeddedScheme + data.EventStoreDir()}.Open(t.Context(), app.Wanted{}, options)
	if err != nil {
		t.Fatal(err)
	}
	shop, err := commands.New(s.Store, commands.Options{Policy: domain.DefaultPolicy(), NewID: uuid.New, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(7, 9))
	channels := []domain.Channel{domain.Website, domain.Website, domain.Website, domain.Mobile, domain.Mobile, domain.Store}
	for n := range orders {
		steps.Store(int64(2 * n))
		// A few buy much, most little.
		who := int(random.ExpFloat64()*customers/3) % customers
		channel := channels[random.IntN(len(channels))]
		place := commands.PlaceOrder{
			Caller: commands.Caller{Actor: "shop-" + string(channel), Channel: channel, Issuer: channel.Issuer()}, Order: domain.OrderID(fmt.Sprintf("order-%04d", 4000+n)),
			Customer: domain.CustomerID(demoShopper(who)), Items: []string{"mug"}, Paid: domain.Money{Minor: 500 + int64(random.ExpFloat64()*12_000), Currency: domain.GBP}, Method: "card",
		}
		if _, err := shop.PlaceOrder(t.Context(), place); err != nil {
			t.Fatal(err)
		}
		forPictures := who == chosen && made.order == "" && place.Paid.Minor > 5000
		if n%8 > 0 && !forPictures {
			continue
		}
		steps.Add(1)
		back := commands.ReturnItems{Caller: place.Caller, Order: place.Order, Return: "return-1", Amount: place.Paid.Minor / 3, Reason: "too small"}
		if _, err := shop.ReturnItems(t.Context(), back); err != nil {
			t.Fatal(err)
		}
		if forPictures {
			made = month{demoShopper(who), string(place.Order)}
		}
	}
	steps.Store(2 * orders)
	give := commands.AdjustPoints{
		Caller: commands.Caller{Actor: "agent-2", Issuer: domain.Staff}, Customer: domain.CustomerID(made.customer), ID: "goodwill-1", Points: 25, Reason: "parcel came late, ticket 4711",
	}
	if _, err := shop.AdjustPoints(t.Context(), give); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	return made
}

// demoShopper is a customer's id, as those of loyalty dev --demo.
func demoShopper(n int) string { return fmt.Sprintf("shopper-%03d", n) }
