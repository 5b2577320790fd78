package api_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"pgregory.net/rapid"

	"loyalty/api"
	"loyalty/api/auth"
	"loyalty/api/auth/keys/keystest"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/internal/problem"
)

var ndjson = http.Header{"Content-Type": {"application/x-ndjson"}}

// lineOf is a line of a batch.
func lineOf(id, amount, customer string) string {
	return fmt.Sprintf(`{"orderId": %q, "ItemIds": ["sku-1"], "paymentDetails": {"amount": %s, "currency": "GBP"}, "customerId": %q}`, id, amount, customer)
}

// lineAnswer is a line of the answer of a batch.
type lineAnswer struct {
	Line     int
	OrderID  string
	Status   string
	Points   int
	Position domain.Position
	Problem  problem.Problem
}

func (a lineAnswer) String() string {
	return fmt.Sprintf("%d %s %s %d %s", a.Line, a.OrderID, cmp.Or(a.Problem.Code, a.Status), a.Points, problemFields(a.Problem))
}

func problemFields(p problem.Problem) (all string) {
	for _, f := range p.Errors {
		all += f.Field + " " + f.Code + ","
	}
	return all
}

func lineAnswers(t testing.TB, body io.Reader) (all []lineAnswer) {
	t.Helper()
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	for {
		var a lineAnswer
		switch err := decoder.Decode(&a); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatal(err)
		}
		all = append(all, a)
	}
}

// batch sends lines at once.
func (s *site) batch(t testing.TB, lines ...string) []lineAnswer {
	t.Helper()
	got := s.send(t, exchange{as: till, method: "POST", path: "/orders", header: ndjson, body: strings.Join(lines, "\n"), status: 200})
	if got.status != 200 || got.header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("a batch is answered with %d %s", got.status, got.body)
	}
	return lineAnswers(t, bytes.NewReader(got.body))
}

// runBatches has a batch answered in every way there is.
func runBatches(t *testing.T, doc *document) {
	s := startStack(t, doc)
	t.Run("each line has its answer, in order, and a bad one harms no other", func(t *testing.T) {
		s.do(t, exchange{as: till, method: "POST", path: "/order/o-0", body: orderOf(`20`, "ann"), status: 201})
		got := s.batch(t,
			lineOf("o-1", `"129.99"`, "ann"),
			`{"orderId": "o-2"`,
			"",
			lineOf("o-3", `-1`, "bob"),
			lineOf("o-1", `"129.99"`, "ann"),
			lineOf("o-0", `20`, "ann"),
			lineOf("o-4", `5`, "bob")+" ",
			strings.Repeat("x", 64<<10+1),
			lineOf("o-5", `5`, "b\xffb"),
			lineOf("", `5`, "bob"),
			strings.Replace(lineOf("o-6", `5`, "bob"), `"orderId": "o-6", `, "", 1),
			lineOf("o-7", `"999999999999.99"`, "bob"),
			`[1]`,
			lineOf("o-8", `15`, "bob")+"\r",
			lineOf("o-9", `15`, "bob")+strings.Repeat(" ", 64<<10-len(lineOf("o-9", `15`, "bob"))),
		)
		want := []string{
			"1 o-1 placed 13 ", "2  json_malformed 0 ", "3  json_malformed 0 ", "4 o-3 amount_negative 0 paymentDetails.amount amount_negative,",
			"5 o-1 replayed 13 ", "6 o-0 conflict 0 ", "7 o-4 placed 1 ", "8  body_too_large 0 ", "9  json_malformed 0 ",
			"10  id_missing 0 orderId id_missing,", "11  id_missing 0 orderId id_missing,", "12 o-7 order_points_limit 0 ", "13  json_malformed 0 ",
			"14 o-8 placed 2 ", "15 o-9 placed 2 ",
		}
		if len(got) != len(want) {
			t.Fatalf("got %d lines: %v", len(got), got)
		}
		for i, a := range got {
			if a.String() != want[i] {
				t.Errorf("got %s, want %s", a, want[i])
			}
		}
		if got[4].Position != got[0].Position || got[0].Position == (domain.Position{}) || got[5].Status != "conflict" || got[1].Status != "problem" {
			t.Errorf("got %+v", got)
		}
		if p := got[1].Problem; p.Status != 400 || p.ID == "" || p.Title == "" {
			t.Errorf("a problem of a line is %+v", p)
		}
	})
	t.Run("nothing at all is an empty batch", func(t *testing.T) {
		if got := s.batch(t); len(got) != 0 {
			t.Errorf("got %v", got)
		}
	})
	t.Run("more batches than may be taken are rejected", func(t *testing.T) {
		one := serve(t, doc, func(c *api.Config) {
			c.Commands, c.Limits.Batches, c.Limits.BatchesOfSubject = fixed{}, 2, 1
		})
		x := exchange{as: till, method: "POST", path: "/orders", header: ndjson, body: lineOf("o-2", `1`, "ann"), status: 200}
		var both []*openBatch
		for _, as := range []auth.Claims{till, named(till, "till-8")} {
			open := one.openAs(t, as)
			open.send(t, lineOf("o-1", `1`, "ann")+"\n")
			open.next(t)
			both = append(both, open)
			x.as = till
			one.comesBack(t, refused(x, 429, "too_much_at_once"), "15")
		}
		x.as = named(till, "till-9")
		one.comesBack(t, refused(x, 503, "overloaded"), "15")
		one.waitForMetric(t, "loyalty_batches_refused_total 3")
		for _, open := range both {
			open.end(t)
		}
		eventually(t, "room for a batch", func() bool { return one.send(t, x).status == 200 })
	})
	t.Run("tokens that can't be verified now", func(t *testing.T) {
		nobody := httptest.NewServer(http.NotFoundHandler())
		defer nobody.Close()
		away := serve(t, doc, func(c *api.Config) {
			verifier, err := auth.NewKeyVerifier(keystest.Start(t, nobody.URL, time.Now), auth.Settings{}, time.Now)
			if err != nil {
				t.Fatal(err)
			}
			c.Commands, c.Verifier = fixed{}, verifier
		})
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		token, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{"sub": "till-7"}).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		signed := ndjson.Clone()
		signed.Set("Authorization", "Bearer "+token)
		away.do(t, exchange{method: "POST", path: "/orders", header: signed, body: lineOf("o-2", `1`, "ann"), status: 503, code: "unavailable"})
	})
	t.Run("a server that can't read and write at once", func(t *testing.T) {
		c := config(t, new(lockedBuffer))
		c.Commands = fixed{}
		server, err := api.New(c)
		if err != nil {
			t.Fatal(err)
		}
		narrow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			server.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
		}))
		defer narrow.Close()
		half := &site{t: t, url: narrow.URL, doc: doc}
		half.do(t, exchange{as: till, method: "POST", path: "/orders", header: ndjson, body: lineOf("o-2", `1`, "ann"), status: 500, code: "internal"})
	})
}

// failing fails from the nth order on.
type failing struct {
	fixed
	orders  *atomic.Int64
	tried   *atomic.Int64
	from    int64
	because error
}

func (f failing) PlaceOrder(ctx context.Context, c commands.PlaceOrder) (commands.Placed, error) {
	f.tried.Add(1)
	if f.orders.Add(1) > f.from {
		return commands.Placed{}, f.because
	}
	return f.fixed.PlaceOrder(ctx, c)
}

// Given a store that becomes unavailable in the middle of a batch
// Then the remaining lines are answered as such, without each being tried for long; and can be sent again.
func TestAStoreThatGoesAwayMidwayLeavesTheRestToBeSentAgain(t *testing.T) {
	var orders, tried atomic.Int64
	s := serve(t, loadDocument(t), func(c *api.Config) {
		c.Commands = failing{orders: &orders, tried: &tried, from: 1000, because: fmt.Errorf("append: %w", domain.ErrUnavailable)}
	})
	var lines []string
	for i := range 5000 {
		lines = append(lines, lineOf(fmt.Sprintf("o-%d", i), `20`, "ann"))
	}
	placed, unavailable := 0, 0
	for i, a := range s.batch(t, lines...) {
		switch {
		case a.Status == "placed":
			placed++
		case a.Problem.Code == "unavailable" && a.Problem.Status == 503 && a.OrderID == fmt.Sprintf("o-%d", i):
			unavailable++
		default:
			t.Fatalf("line %d is answered with %v", i+1, a)
		}
	}
	if placed != 1000 || unavailable != 4000 {
		t.Errorf("%d are placed and %d unavailable", placed, unavailable)
	}
	if n := tried.Load(); n > 1500 {
		t.Errorf("%d lines were tried although the store was away after 1000", n)
	}
	// Lines that were placed at the last moment may be answered between those that were not.
	if n := strings.Count(s.log.String(), "a line of a batch"); n < 1 || n > 10 {
		t.Errorf("that is logged %d times", n)
	}
}

func TestALineThatPanicsIsAProblemOfItsOwn(t *testing.T) {
	s := serve(t, loadDocument(t), func(c *api.Config) { c.Commands = fixed{errPanic} })
	got := s.batch(t, lineOf("o-1", `1`, "ann"), "{}")
	if len(got) != 2 || got[0].Problem.Code != "internal" || got[0].Problem.Detail != "" || got[1].Problem.Code != "invalid_input" {
		t.Errorf("got %v", got)
	}
	if !strings.Contains(s.log.String(), got[0].Problem.ID) || !strings.Contains(s.log.String(), "the secret is 12345") {
		t.Error("the cause is not in the log")
	}
}

// Given a rate
// When a batch has more lines than it allows at once
// Then they are slowed down and none is rejected.
func TestABatchIsSlowedDownToItsRate(t *testing.T) {
	begun := time.Now()
	s := serve(t, loadDocument(t), func(c *api.Config) {
		c.Commands, c.Limits.WriteRates = fixed{}, map[string]float64{"store": 50}
	})
	var lines []string
	for i := range 70 {
		lines = append(lines, lineOf(fmt.Sprintf("o-%d", i), `20`, "ann"))
	}
	for _, a := range s.batch(t, lines...) {
		if a.Status != "placed" {
			t.Errorf("got %v", a)
		}
	}
	// 50 at once, and a fiftieth of a second for each of the other 20.
	if took := time.Since(begun); took < 400*time.Millisecond {
		t.Errorf("70 lines took %s at 50 a second", took)
	}
}

// What a line of a batch is answered with depends on nothing but the lines about the same order before it.
func TestABatchGivesWhatItsLinesWouldEachGiveAlone(t *testing.T) {
	s := startStack(t, loadDocument(t))
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		kinds := rapid.SliceOfN(rapid.IntRange(0, 7), 0, 16).Draw(rt, "kinds")
		line := func(prefix string, i, kind int) string {
			id := fmt.Sprintf("%s-%d-%d", prefix, run, i%5)
			switch kind {
			case 0:
				return ""
			case 1:
				return "{"
			case 2:
				return lineOf(id, `"x"`, "ann")
			case 3:
				return strings.Repeat("y", 64<<10+1)
			case 4:
				return "\xff\xfe"
			case 5:
				return lineOf(id, `30`, "ann")
			}
			return lineOf(id, `20`, "ann")
		}
		var together []string
		for i, kind := range kinds {
			together = append(together, line("all", i, kind))
		}
		got := s.batch(t, append(together, "")...)
		if len(together) > 0 && together[len(together)-1] == "" && len(got) == len(together)-1 {
			rt.Fatal("a blank last line has no answer")
		}
		if len(got) != len(together) {
			rt.Fatalf("%d lines have %d answers", len(together), len(got))
		}
		for i, kind := range kinds {
			alone := s.batch(t, line("one", i, kind)+"\n")
			if len(alone) != 1 {
				rt.Fatalf("one line has %d answers", len(alone))
			}
			want := alone[0]
			want.Line = i + 1
			if strings.Replace(want.String(), "one-", "all-", 1) != got[i].String() {
				rt.Fatalf("line %d: together %s, alone %s", i+1, got[i], want)
			}
		}
	})
}

// Two lines about one order are carried out one after the other.
func TestLinesAboutOneOrderDoNotOvertakeEachOther(t *testing.T) {
	s := startStack(t, loadDocument(t))
	var lines []string
	for i := range 200 {
		lines = append(lines, lineOf(fmt.Sprintf("o-%d", i/4), fmt.Sprint(20+10*(i%4/2)), "ann"))
	}
	for i, a := range s.batch(t, lines...) {
		if want := []string{"placed", "replayed", "conflict", "conflict"}[i%4]; a.Status != want {
			t.Errorf("line %d is %s, want %s", i+1, a, want)
		}
	}
}
