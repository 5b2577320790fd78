// Package calls drives a running program through the client that is generated from docs/openapi.yaml, and through nothing
// else. cmd/loyalty/generated_client_test.go generates the client, builds these tests and runs them.
package calls

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"generatedclient/client"
)

// newClient is the client that the OpenAPI document gives. The environment names the program's addresses and holds the
// callers' tokens; without a token's name it calls as nobody.
func newClient(t *testing.T, address, token string) *client.ClientWithResponses {
	t.Helper()
	options := []client.ClientOption{client.WithHTTPClient(&http.Client{Timeout: time.Minute})}
	if token != "" {
		options = append(options, client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+setting(t, token))
			return nil
		}))
	}
	c, err := client.NewClientWithResponses(setting(t, address), options...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// setting gives a variable of the environment, which must be set.
func setting(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set", name)
	}
	return value
}

// result takes what a call of the generated client returns, which must not be an error.
func result[A any](t *testing.T) func(*A, error) *A {
	return func(a *A, err error) *A {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
}

// isProblem wants an answer to be a problem that the document has for its status.
func isProblem(t *testing.T, what string, got *client.Problem, code client.Code, status int) {
	t.Helper()
	if got == nil {
		t.Errorf("%s: the answer is none that the document describes for %d", what, status)
		return
	}
	if got.Code != code || got.Status != status || got.Id == "" || got.Title == "" || !got.Code.Valid() || got.Type != "urn:problem-type:loyalty:"+string(code) {
		t.Errorf("%s: got %+v, want %s", what, *got, code)
	}
}

func generatedOrder(t *testing.T, customer, amount string) client.Order {
	t.Helper()
	order := client.Order{ItemIds: []string{"sku-1", "sku-2"}, PaymentDetails: client.PaymentDetails{Amount: money(t, amount), Currency: client.CurrencyGBP}}
	if customer != "" {
		order.CustomerId = &customer
	}
	return order
}

func money(t *testing.T, text string) (amount client.Amount) {
	t.Helper()
	if err := amount.FromAmountText(text); err != nil {
		t.Fatal(err)
	}
	return amount
}

func refund(t *testing.T, text string) (amount client.AmountReturned) {
	t.Helper()
	if err := amount.FromAmountReturnedText(text); err != nil {
		t.Fatal(err)
	}
	return amount
}

func TestEverythingCanBeDoneWithAGeneratedClient(t *testing.T) {
	shop, desk := newClient(t, "BASE", "SHOP"), newClient(t, "BASE", "SUPPORT")
	ctx := t.Context()
	placed, returned, adjusted := result[client.PlaceOrderResponse](t), result[client.ReturnItemsResponse](t), result[client.AdjustPointsResponse](t)

	// An order is placed, is the same again, and is nothing else
	first := placed(shop.PlaceOrderWithResponse(ctx, "o-1", nil, generatedOrder(t, "alice", "129.99")))
	if first.JSON201 == nil || first.JSON201.Points != 13 || first.JSON201.OrderId != "o-1" || first.JSON201.Status != client.PlacedStatusPlaced || first.Headers201.XRequestId == "" {
		t.Fatalf("an order is answered with %s", first.Body)
	}
	again := placed(shop.PlaceOrderWithResponse(ctx, "o-1", nil, generatedOrder(t, "alice", "129.99")))
	if again.JSON200 == nil || *again.JSON200 != *first.JSON201 || again.Headers200.IdempotentReplayed != "true" {
		t.Errorf("the same order is answered with %d %s", again.StatusCode(), again.Body)
	}
	other := placed(shop.PlaceOrderWithResponse(ctx, "o-1", nil, generatedOrder(t, "alice", "130.00")))
	isProblem(t, "another order", other.ApplicationproblemJSON409, client.CodeConflict, http.StatusConflict)
	// An amount may be a number, too
	number := generatedOrder(t, "bob", "0")
	if err := number.PaymentDetails.Amount.FromAmountNumber(70); err != nil {
		t.Fatal(err)
	}
	if got := placed(shop.PlaceOrderWithResponse(ctx, "o-2", nil, number)); got.JSON201 == nil || got.JSON201.Points != 7 {
		t.Errorf("an order of 70 is answered with %s", got.Body)
	}

	// Part of it comes back
	back := returned(shop.ReturnItemsWithResponse(ctx, "o-1", "r-1", nil, client.Return{Amount: refund(t, "40.00")}))
	if back.JSON201 == nil || back.JSON201.PointsReversed != 4 || back.JSON201.ReturnId != "r-1" {
		t.Fatalf("a return is answered with %s", back.Body)
	}
	if got := returned(shop.ReturnItemsWithResponse(ctx, "o-1", "r-1", nil, client.Return{Amount: refund(t, "40.00")})); got.JSON200 == nil || *got.JSON200 != *back.JSON201 {
		t.Errorf("the same return is answered with %s", got.Body)
	}
	isProblem(t, "too much", returned(shop.ReturnItemsWithResponse(ctx, "o-1", "r-2", nil, client.Return{Amount: refund(t, "90.00")})).ApplicationproblemJSON422, client.CodeReturnExceedsPaid, http.StatusUnprocessableEntity)
	isProblem(t, "no order", returned(shop.ReturnItemsWithResponse(ctx, "o-x", "r-1", nil, client.Return{Amount: refund(t, "1.00")})).ApplicationproblemJSON404, client.CodeNotFound, http.StatusNotFound)
	isProblem(t, "another return", returned(shop.ReturnItemsWithResponse(ctx, "o-1", "r-1", nil, client.Return{Amount: refund(t, "41.00")})).ApplicationproblemJSON409, client.CodeConflict, http.StatusConflict)

	// Support gives points
	key := "goodwill-1"
	params, gift := &client.AdjustPointsParams{IdempotencyKey: &key}, client.Adjustment{LoyaltyPoints: 25, Reason: "parcel came late"}
	given := adjusted(desk.AdjustPointsWithResponse(ctx, "alice", params, gift))
	if given.JSON201 == nil || given.JSON201.LoyaltyId != "staff."+key {
		t.Fatalf("an adjustment is answered with %s", given.Body)
	}
	if got := adjusted(desk.AdjustPointsWithResponse(ctx, "alice", params, gift)); got.JSON200 == nil || *got.JSON200 != *given.JSON201 || got.Headers200.IdempotentReplayed != "true" {
		t.Errorf("the same adjustment is answered with %s", got.Body)
	}
	gift.LoyaltyPoints = 26
	isProblem(t, "another adjustment", adjusted(desk.AdjustPointsWithResponse(ctx, "alice", params, gift)).ApplicationproblemJSON409, client.CodeConflict, http.StatusConflict)
	isProblem(t, "an adjustment by a shop", adjusted(shop.AdjustPointsWithResponse(ctx, "alice", params, gift)).ApplicationproblemJSON403, client.CodeForbidden, http.StatusForbidden)

	// The dashboard shows all of it, to her and to nobody else
	own := newClient(t, "BASE", "ALICE")
	top, around := 1, 1
	board := result[client.DashboardResponse](t)(own.DashboardWithResponse(ctx, "alice", &client.DashboardParams{Top: &top, Around: &around, LoyaltyMinPosition: &given.JSON201.Position}))
	if d := board.JSON200; d == nil || d.You == nil || d.You.Points != 34 || d.You.Rank != 1 || !d.You.You || d.Customers != 2 || len(d.Top) != 1 || len(d.Around) != 2 || d.AsOf == nil {
		t.Errorf("the dashboard is %s", board.Body)
	}
	isProblem(t, "another's dashboard", result[client.DashboardResponse](t)(own.DashboardWithResponse(ctx, "bob", nil)).ApplicationproblemJSON403, client.CodeForbidden, http.StatusForbidden)

	// So does the trail, a page at a time
	limit := 2
	var kinds []client.EntryKind
	total := int64(34)
	pages := 0
	for page := (&client.TrailParams{Limit: &limit, LoyaltyMinPosition: &given.JSON201.Position}); ; pages++ {
		got := result[client.TrailResponse](t)(desk.TrailWithResponse(ctx, "alice", page))
		if got.JSON200 == nil || got.JSON200.Points != 34 || got.JSON200.CustomerId != "alice" || len(got.JSON200.Entries) > limit {
			t.Fatalf("a page of the trail is %s", got.Body)
		}
		for _, entry := range got.JSON200.Entries {
			if entry.Total != total || !entry.Kind.Valid() || entry.Stream == "" {
				t.Errorf("after %v there is %+v, want a total of %d", kinds, entry, total)
			}
			total -= entry.Points
			kinds = append(kinds, entry.Kind)
		}
		if page.Cursor = got.JSON200.Next; page.Cursor == nil {
			break
		}
	}
	if want := []client.EntryKind{client.EntryKindAdjustment, client.EntryKindReversal, client.EntryKindAward}; fmt.Sprint(kinds) != fmt.Sprint(want) || pages != 1 || total != 0 {
		t.Errorf("%d pages of %v, %d points before the first", pages+1, kinds, total)
	}
}

func TestAGeneratedClientUnderstandsEveryProblem(t *testing.T) {
	ctx := t.Context()
	anonymous, shop, desk := newClient(t, "BASE", ""), newClient(t, "BASE", "SHOP"), newClient(t, "BASE", "SUPPORT")
	place := func(c *client.ClientWithResponses, id string, order client.Order) *client.PlaceOrderResponse {
		t.Helper()
		return result[client.PlaceOrderResponse](t)(c.PlaceOrderWithResponse(ctx, id, nil, order))
	}

	unknown := place(anonymous, "o-1", generatedOrder(t, "alice", "10.00"))
	isProblem(t, "no token", unknown.ApplicationproblemJSON401, client.CodeTokenMissing, http.StatusUnauthorized)
	if unknown.Headers401 == nil || !strings.HasPrefix(unknown.Headers401.WWWAuthenticate, "Bearer") {
		t.Errorf("no token: the headers are %+v", unknown.Headers401)
	}
	isProblem(t, "an order by support", place(desk, "o-1", generatedOrder(t, "alice", "10.00")).ApplicationproblemJSON403, client.CodeForbidden, http.StatusForbidden)

	wrong := generatedOrder(t, "", "-1")
	wrong.ItemIds = nil
	several := place(shop, "o-1", wrong)
	isProblem(t, "three faults", several.ApplicationproblemJSON400, client.CodeInvalidInput, http.StatusBadRequest)
	if several.ApplicationproblemJSON400 == nil || several.ApplicationproblemJSON400.Errors == nil || len(*several.ApplicationproblemJSON400.Errors) != 3 {
		t.Fatalf("three faults are answered with %s", several.Body)
	}
	for _, fault := range *several.ApplicationproblemJSON400.Errors {
		if !fault.Code.Valid() || fault.Field == "" || fault.Detail == "" {
			t.Errorf("a fault is %+v", fault)
		}
	}
	isProblem(t, "one fault", place(shop, "o-1", generatedOrder(t, "alice", "1.234")).ApplicationproblemJSON400, client.CodeAmountTooPrecise, http.StatusBadRequest)

	large := generatedOrder(t, "alice", "10.00")
	large.PaymentDetails.AdditionalProperties = map[string]any{"note": strings.Repeat("x", 64<<10)}
	isProblem(t, "a large body", place(shop, "o-1", large).ApplicationproblemJSON413, client.CodeBodyTooLarge, http.StatusRequestEntityTooLarge)
	text := result[client.PlaceOrderResponse](t)(shop.PlaceOrderWithBodyWithResponse(ctx, "o-1", nil, "text/plain", strings.NewReader("an order")))
	isProblem(t, "no JSON", text.ApplicationproblemJSON415, client.CodeContentTypeUnsupported, http.StatusUnsupportedMediaType)

	app := newClient(t, "BASE", "MOBILE")
	limited := place(app, "o-app", generatedOrder(t, "alice", "10.00"))
	for n := 0; n < 1000 && limited.StatusCode() != http.StatusTooManyRequests; n++ {
		limited = place(app, "o-app", generatedOrder(t, "alice", "10.00"))
	}
	isProblem(t, "too often", limited.ApplicationproblemJSON429, client.CodeRateLimited, http.StatusTooManyRequests)
	if limited.Headers429 == nil || limited.Headers429.RetryAfter < 1 {
		t.Errorf("too often: the headers are %+v", limited.Headers429)
	}

	future, far := "999999999", 101
	early := result[client.DashboardResponse](t)(desk.DashboardWithResponse(ctx, "alice", &client.DashboardParams{LoyaltyMinPosition: &future}))
	isProblem(t, "a position to come", early.ApplicationproblemJSON503, client.CodeNotCaughtUp, http.StatusServiceUnavailable)
	if early.Headers503 == nil || early.Headers503.RetryAfter < 1 {
		t.Errorf("a position to come: the headers are %+v", early.Headers503)
	}
	isProblem(t, "too many", result[client.DashboardResponse](t)(desk.DashboardWithResponse(ctx, "alice", &client.DashboardParams{Top: &far})).ApplicationproblemJSON400, client.CodeTopOutOfRange, http.StatusBadRequest)
	isProblem(t, "a broken cursor", result[client.TrailResponse](t)(desk.TrailWithResponse(ctx, "alice", &client.TrailParams{Cursor: &future})).ApplicationproblemJSON400, client.CodeCursorInvalid, http.StatusBadRequest)

	operator := newClient(t, "ADMIN", "")
	if got := result[client.HealthzResponse](t)(operator.HealthzWithResponse(ctx)); got.JSON200 == nil || got.JSON200.Status != client.StatusWordOk {
		t.Errorf("healthz: %s", got.Body)
	}
	if got := result[client.ReadyzResponse](t)(operator.ReadyzWithResponse(ctx, nil)); got.JSON200 == nil || got.JSON200.Status != client.StatusWordReady {
		t.Errorf("readyz: %s", got.Body)
	}
}

func TestAGeneratedClientPlacesABatch(t *testing.T) {
	shop := newClient(t, "BASE", "SHOP")
	line := func(id, amount string) client.BatchOrder {
		order := generatedOrder(t, "", amount)
		return client.BatchOrder{OrderId: id, CustomerId: "alice", ItemIds: order.ItemIds, PaymentDetails: order.PaymentDetails}
	}
	lines := []client.BatchOrder{line("b-1", "50.00"), line("b-2", "20.00"), line("b-1", "50.00"), line("b-2", "30.00"), line("b-3", "-1"), line("b-4", "10.00")}

	// Each line is sent once the one before it is answered: neither side waits for the other's end.
	body, sending := io.Pipe()
	answers := make(chan client.BatchAnswer)
	sent := make(chan error, 1)
	go func() {
		encoder := json.NewEncoder(sending)
		var err error
		for _, line := range lines {
			if err = encoder.Encode(line); err != nil {
				break
			}
			if _, open := <-answers; !open {
				err = errors.New("a line has no answer")
				break
			}
		}
		sent <- errors.Join(err, sending.Close())
	}()
	response, err := shop.PlaceOrdersWithBody(t.Context(), nil, "application/x-ndjson", body)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("a batch is answered with %s", response.Status)
	}
	var got []client.BatchAnswer
	for decoder := json.NewDecoder(response.Body); ; {
		var answer client.BatchAnswer
		if err := decoder.Decode(&answer); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			break
		}
		got = append(got, answer)
		answers <- answer
	}
	close(answers)
	if err := <-sent; err != nil {
		t.Error(err)
	}
	want := []client.LineStatus{client.LineStatusPlaced, client.LineStatusPlaced, client.LineStatusReplayed, client.LineStatusConflict, client.LineStatusProblem, client.LineStatusPlaced}
	if len(got) != len(want) {
		t.Fatalf("%d lines are answered with %d", len(want), len(got))
	}
	for n, answer := range got {
		if answer.Line != int64(n)+1 || answer.Status != want[n] || answer.OrderId == nil || *answer.OrderId != lines[n].OrderId {
			t.Errorf("line %d is answered with %+v, want %s", n+1, answer, want[n])
		}
		accepted := answer.Status == client.LineStatusPlaced || answer.Status == client.LineStatusReplayed
		if accepted != (answer.Points != nil && answer.Position != nil) || accepted == (answer.Problem != nil) {
			t.Errorf("line %d is answered with %+v", n+1, answer)
		}
	}
	isProblem(t, "a line that conflicts", got[3].Problem, client.CodeConflict, http.StatusConflict)
	isProblem(t, "a line that is wrong", got[4].Problem, client.CodeAmountNegative, http.StatusBadRequest)

	refused, err := shop.PlaceOrdersWithBodyWithResponse(t.Context(), nil, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	isProblem(t, "no lines", refused.ApplicationproblemJSON415, client.CodeContentTypeUnsupported, http.StatusUnsupportedMediaType)
	stranger, err := newClient(t, "BASE", "").PlaceOrdersWithBodyWithResponse(t.Context(), nil, "application/x-ndjson", strings.NewReader("{}\n"))
	if err != nil {
		t.Fatal(err)
	}
	isProblem(t, "no token", stranger.ApplicationproblemJSON401, client.CodeTokenMissing, http.StatusUnauthorized)
}
