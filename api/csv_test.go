package api_test

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"loyalty/api"
	"loyalty/api/auth"
	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// csvOf reads a trail as a file and returns its lines.
func (s *site) csvOf(t *testing.T, as auth.Claims, path string, at domain.Position) [][]string {
	t.Helper()
	header := after(at)
	header.Set("Accept", "text/csv")
	got := s.do(t, exchange{as: as, method: "GET", path: path, header: header, status: 200})
	if kind := got.header.Get("Content-Type"); kind != "text/csv; charset=utf-8" {
		t.Errorf("the content type is %q", kind)
	}
	lines, err := csv.NewReader(strings.NewReader(string(got.body))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// Given a customer with more entries than a page holds, of which one has a reason that a spreadsheet would carry out
// When support and the customer ask for the trail as a file
// Then it has every entry, and no formula; and the customer's tells nothing of the staff.
func TestATrailAsAFileIsWholeAndCarriesNoFormula(t *testing.T) {
	s := startStack(t, loadDocument(t))
	const orders = ledger.MaxPage + 5
	for i := range orders {
		s.do(t, exchange{as: till, method: "POST", path: "/order/o-" + string(rune('a'+i/26)) + string(rune('a'+i%26)), body: orderOf(`10`, "ann"), status: 201})
	}
	last := decode[adjusted](t, s.do(t, exchange{
		as: support, method: "POST", path: "/loyalty/ann", body: `{"loyalty-points": -3, "reason": "=HYPERLINK(\"http://x\",\"y\"), \"late\""}`, status: 201,
		header: http.Header{"Idempotency-Key": {"-1"}},
	})).Position

	lines := s.csvOf(t, support, "/loyalty/ann/trail?limit=1", last)
	if len(lines) != 1+1+orders {
		t.Fatalf("%d lines, want %d", len(lines), 1+1+orders)
	}
	column := func(name string) int { return slices.Index(lines[0], name) }
	newest := lines[1]
	for name, want := range map[string]string{
		"kind": "adjustment", "points": "-3", "total": "202", "reason": `'=HYPERLINK("http://x","y"), "late"`, "loyaltyId": "staff.-1", "actor": "staff-3", "amount": "",
	} {
		if got := newest[column(name)]; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if oldest := lines[len(lines)-1]; oldest[column("orderId")] != "store.o-aa" || oldest[column("amount")] != "10.00" || oldest[column("currency")] != "GBP" {
		t.Errorf("the oldest is %v", oldest)
	}

	for _, line := range s.csvOf(t, ann, "/loyalty/ann/trail?kind=adjustment", last)[1:] {
		if line[column("actor")] != "" || line[column("correlationId")] != "" || line[column("points")] != "-3" {
			t.Errorf("the customer is told %v", line)
		}
	}
	if empty := s.csvOf(t, support, "/loyalty/nobody/trail", last); len(empty) != 1 {
		t.Errorf("the file of nobody is %v", empty)
	}
}

// breaking is a ledger that fails after its first page.
type breaking struct{ fixed }

func (breaking) Trail(_ context.Context, _ domain.CustomerID, _ ledger.Filter, cursor string, _ int) (ledger.Trail, error) {
	if cursor != "" {
		return ledger.Trail{}, domain.ErrUnavailable
	}
	return ledger.Trail{Entries: []ledger.Entry{{EventID: "e-1", Kind: ledger.Award}}, Next: "more"}, nil
}

func TestAFileThatCannotBeCompletedBreaksTheConnection(t *testing.T) {
	s := serve(t, loadDocument(t), func(c *api.Config) { c.Ledger = breaking{} })
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/loyalty/ann/trail", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{"Accept": {"text/csv"}, "Authorization": {"Bearer " + mint(t, ann)}}
	response, err := http.DefaultClient.Do(request)
	if err == nil {
		defer response.Body.Close()
		_, err = io.ReadAll(response.Body)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		t.Errorf("the file ends with %v", err)
	}
	// And one that can't be begun is a problem like any other.
	failing := serve(t, loadDocument(t), func(c *api.Config) { c.Ledger = fixed{domain.ErrUnavailable} })
	failing.do(t, exchange{as: ann, method: "GET", path: "/loyalty/ann/trail", header: http.Header{"Accept": {"text/csv"}}, status: 503, code: "unavailable"})
}
