package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"loyalty/api"
	"loyalty/api/apitest"
	"loyalty/domain"
)

// generated is the client that the OpenAPI document gives, with tokens of a folder.
func generated(t *testing.T, base, data string, who *api.Claims) *apitest.ClientWithResponses {
	t.Helper()
	options := []apitest.ClientOption{apitest.WithHTTPClient(&http.Client{Timeout: patience})}
	if who != nil {
		secret, err := readSecret(folder(data).tokenSecret())
		if err != nil {
			t.Fatal(err)
		}
		token, err := api.Mint(secret, *who, time.Hour, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		options = append(options, apitest.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+token)
			return nil
		}))
	}
	c, err := apitest.NewClientWithResponses(base, options...)
	if err != nil {
		t.Fatal(err)
	}
	return c
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
func isProblem(t *testing.T, what string, got *apitest.Problem, code apitest.Code, status int) {
	t.Helper()
	if got == nil {
		t.Errorf("%s: the answer is none that the document describes for %d", what, status)
		return
	}
	if got.Code != code || got.Status != status || got.Id == "" || got.Title == "" || !got.Code.Valid() || got.Type != "urn:problem-type:loyalty:"+string(code) {
		t.Errorf("%s: got %+v, want %s", what, *got, code)
	}
}

func generatedOrder(t *testing.T, customer, amount string) apitest.Order {
	t.Helper()
	order := apitest.Order{ItemIds: []string{"sku-1", "sku-2"}, PaymentDetails: apitest.PaymentDetails{Amount: money(t, amount), Currency: apitest.CurrencyGBP}}
	if customer != "" {
		order.CustomerId = &customer
	}
	return order
}

func money(t *testing.T, text string) (amount apitest.Amount) {
	t.Helper()
	if err := amount.FromAmountText(text); err != nil {
		t.Fatal(err)
	}
	return amount
}

func refund(t *testing.T, text string) (amount apitest.AmountReturned) {
	t.Helper()
	if err := amount.FromAmountReturnedText(text); err != nil {
		t.Fatal(err)
	}
	return amount
}

func TestEverythingCanBeDoneWithAGeneratedClient(t *testing.T) {
	data := t.TempDir()
	p := startDev(t, data)
	shop, desk := generated(t, p.base, data, &webshop), generated(t, p.base, data, &support)
	ctx := t.Context()
	placed, returned, adjusted := result[apitest.PlaceOrderResponse](t), result[apitest.ReturnItemsResponse](t), result[apitest.AdjustPointsResponse](t)

	// An order is placed, is the same again, and is nothing else
	first := placed(shop.PlaceOrderWithResponse(ctx, "o-1", nil, generatedOrder(t, "alice", "129.99")))
	if first.JSON201 == nil || first.JSON201.Points != 13 || first.JSON201.OrderId != "o-1" || first.JSON201.Status != apitest.PlacedStatusPlaced || first.Headers201.XRequestId == "" {
		t.Fatalf("an order is answered with %s", first.Body)
	}
	again := placed(shop.PlaceOrderWithResponse(ctx, "o-1", nil, generatedOrder(t, "alice", "129.99")))
	if again.JSON200 == nil || *again.JSON200 != *first.JSON201 || again.Headers200.IdempotentReplayed != "true" {
		t.Errorf("the same order is answered with %d %s", again.StatusCode(), again.Body)
	}
	other := placed(shop.PlaceOrderWithResponse(ctx, "o-1", nil, generatedOrder(t, "alice", "130.00")))
	isProblem(t, "another order", other.ApplicationproblemJSON409, apitest.CodeConflict, http.StatusConflict)
	// An amount may be a number, too
	number := generatedOrder(t, "bob", "0")
	if err := number.PaymentDetails.Amount.FromAmountNumber(70); err != nil {
		t.Fatal(err)
	}
	if got := placed(shop.PlaceOrderWithResponse(ctx, "o-2", nil, number)); got.JSON201 == nil || got.JSON201.Points != 7 {
		t.Errorf("an order of 70 is answered with %s", got.Body)
	}

	// Part of it comes back
	back := returned(shop.ReturnItemsWithResponse(ctx, "o-1", "r-1", nil, apitest.Return{Amount: refund(t, "40.00")}))
	if back.JSON201 == nil || back.JSON201.PointsReversed != 4 || back.JSON201.ReturnId != "r-1" {
		t.Fatalf("a return is answered with %s", back.Body)
	}
	if got := returned(shop.ReturnItemsWithResponse(ctx, "o-1", "r-1", nil, apitest.Return{Amount: refund(t, "40.00")})); got.JSON200 == nil || *got.JSON200 != *back.JSON201 {
		t.Errorf("the same return is answered with %s", got.Body)
	}
	isProblem(t, "too much", returned(shop.ReturnItemsWithResponse(ctx, "o-1", "r-2", nil, apitest.Return{Amount: refund(t, "90.00")})).ApplicationproblemJSON422, apitest.CodeReturnExceedsPaid, http.StatusUnprocessableEntity)
	isProblem(t, "no order", returned(shop.ReturnItemsWithResponse(ctx, "o-x", "r-1", nil, apitest.Return{Amount: refund(t, "1.00")})).ApplicationproblemJSON404, apitest.CodeNotFound, http.StatusNotFound)
	isProblem(t, "another return", returned(shop.ReturnItemsWithResponse(ctx, "o-1", "r-1", nil, apitest.Return{Amount: refund(t, "41.00")})).ApplicationproblemJSON409, apitest.CodeConflict, http.StatusConflict)

	// Support gives points
	key := "goodwill-1"
	params, gift := &apitest.AdjustPointsParams{IdempotencyKey: &key}, apitest.Adjustment{LoyaltyPoints: 25, Reason: "parcel came late"}
	given := adjusted(desk.AdjustPointsWithResponse(ctx, "alice", params, gift))
	if given.JSON201 == nil || given.JSON201.LoyaltyId != key {
		t.Fatalf("an adjustment is answered with %s", given.Body)
	}
	if got := adjusted(desk.AdjustPointsWithResponse(ctx, "alice", params, gift)); got.JSON200 == nil || *got.JSON200 != *given.JSON201 || got.Headers200.IdempotentReplayed != "true" {
		t.Errorf("the same adjustment is answered with %s", got.Body)
	}
	gift.LoyaltyPoints = 26
	isProblem(t, "another adjustment", adjusted(desk.AdjustPointsWithResponse(ctx, "alice", params, gift)).ApplicationproblemJSON409, apitest.CodeConflict, http.StatusConflict)
	isProblem(t, "an adjustment by a shop", adjusted(shop.AdjustPointsWithResponse(ctx, "alice", params, gift)).ApplicationproblemJSON403, apitest.CodeForbidden, http.StatusForbidden)

	// The dashboard shows all of it, to her and to nobody else
	alice := customer("alice")
	own := generated(t, p.base, data, &alice)
	top, around := 1, 1
	board := result[apitest.DashboardResponse](t)(own.DashboardWithResponse(ctx, "alice", &apitest.DashboardParams{Top: &top, Around: &around, LoyaltyMinPosition: &given.JSON201.Position}))
	if d := board.JSON200; d == nil || d.You == nil || d.You.Points != 34 || d.You.Rank != 1 || !d.You.You || d.Customers != 2 || len(d.Top) != 1 || len(d.Around) != 2 || d.AsOf == nil {
		t.Errorf("the dashboard is %s", board.Body)
	}
	isProblem(t, "another's dashboard", result[apitest.DashboardResponse](t)(own.DashboardWithResponse(ctx, "bob", nil)).ApplicationproblemJSON403, apitest.CodeForbidden, http.StatusForbidden)

	// So does the trail, a page at a time
	limit := 2
	var kinds []apitest.EntryKind
	total := int64(34)
	pages := 0
	for page := (&apitest.TrailParams{Limit: &limit, LoyaltyMinPosition: &given.JSON201.Position}); ; pages++ {
		got := result[apitest.TrailResponse](t)(desk.TrailWithResponse(ctx, "alice", page))
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
	if want := []apitest.EntryKind{apitest.EntryKindAdjustment, apitest.EntryKindReversal, apitest.EntryKindAward}; fmt.Sprint(kinds) != fmt.Sprint(want) || pages != 1 || total != 0 {
		t.Errorf("%d pages of %v, %d points before the first", pages+1, kinds, total)
	}
}

func TestAGeneratedClientUnderstandsEveryRefusal(t *testing.T) {
	data := t.TempDir()
	p := startDev(t, data, "--rate-limit", "mobile=1")
	ctx := t.Context()
	anonymous, shop, desk := generated(t, p.base, data, nil), generated(t, p.base, data, &webshop), generated(t, p.base, data, &support)
	place := func(c *apitest.ClientWithResponses, id string, order apitest.Order) *apitest.PlaceOrderResponse {
		t.Helper()
		return result[apitest.PlaceOrderResponse](t)(c.PlaceOrderWithResponse(ctx, id, nil, order))
	}

	unknown := place(anonymous, "o-1", generatedOrder(t, "alice", "10.00"))
	isProblem(t, "no token", unknown.ApplicationproblemJSON401, apitest.CodeTokenMissing, http.StatusUnauthorized)
	if unknown.Headers401 == nil || !strings.HasPrefix(unknown.Headers401.WWWAuthenticate, "Bearer") {
		t.Errorf("no token: the headers are %+v", unknown.Headers401)
	}
	isProblem(t, "an order by support", place(desk, "o-1", generatedOrder(t, "alice", "10.00")).ApplicationproblemJSON403, apitest.CodeForbidden, http.StatusForbidden)

	wrong := generatedOrder(t, "", "-1")
	wrong.ItemIds = nil
	several := place(shop, "o-1", wrong)
	isProblem(t, "three faults", several.ApplicationproblemJSON400, apitest.CodeInvalidInput, http.StatusBadRequest)
	if several.ApplicationproblemJSON400 == nil || several.ApplicationproblemJSON400.Errors == nil || len(*several.ApplicationproblemJSON400.Errors) != 3 {
		t.Fatalf("three faults are answered with %s", several.Body)
	}
	for _, fault := range *several.ApplicationproblemJSON400.Errors {
		if !fault.Code.Valid() || fault.Field == "" || fault.Detail == "" {
			t.Errorf("a fault is %+v", fault)
		}
	}
	isProblem(t, "one fault", place(shop, "o-1", generatedOrder(t, "alice", "1.234")).ApplicationproblemJSON400, apitest.CodeAmountTooPrecise, http.StatusBadRequest)

	large := generatedOrder(t, "alice", "10.00")
	large.PaymentDetails.AdditionalProperties = map[string]any{"note": strings.Repeat("x", 64<<10)}
	isProblem(t, "a large body", place(shop, "o-1", large).ApplicationproblemJSON413, apitest.CodeBodyTooLarge, http.StatusRequestEntityTooLarge)
	text := result[apitest.PlaceOrderResponse](t)(shop.PlaceOrderWithBodyWithResponse(ctx, "o-1", nil, "text/plain", strings.NewReader("an order")))
	isProblem(t, "no JSON", text.ApplicationproblemJSON415, apitest.CodeContentTypeUnsupported, http.StatusUnsupportedMediaType)

	mobile := api.Claims{Subject: "app", Role: api.RoleChannel, Channel: domain.Mobile}
	app := generated(t, p.base, data, &mobile)
	waitFor(t, "the rate limit", func() bool {
		got := place(app, "o-app", generatedOrder(t, "alice", "10.00"))
		if got.StatusCode() != http.StatusTooManyRequests {
			return false
		}
		isProblem(t, "too often", got.ApplicationproblemJSON429, apitest.CodeRateLimited, http.StatusTooManyRequests)
		if got.Headers429 == nil || got.Headers429.RetryAfter < 1 {
			t.Errorf("too often: the headers are %+v", got.Headers429)
		}
		return true
	})

	future, far := "999999999", 101
	early := result[apitest.DashboardResponse](t)(desk.DashboardWithResponse(ctx, "alice", &apitest.DashboardParams{LoyaltyMinPosition: &future}))
	isProblem(t, "a position to come", early.ApplicationproblemJSON503, apitest.CodeNotCaughtUp, http.StatusServiceUnavailable)
	if early.Headers503 == nil || early.Headers503.RetryAfter < 1 {
		t.Errorf("a position to come: the headers are %+v", early.Headers503)
	}
	isProblem(t, "too many", result[apitest.DashboardResponse](t)(desk.DashboardWithResponse(ctx, "alice", &apitest.DashboardParams{Top: &far})).ApplicationproblemJSON400, apitest.CodeTopOutOfRange, http.StatusBadRequest)
	isProblem(t, "a broken cursor", result[apitest.TrailResponse](t)(desk.TrailWithResponse(ctx, "alice", &apitest.TrailParams{Cursor: &future})).ApplicationproblemJSON400, apitest.CodeCursorInvalid, http.StatusBadRequest)

	operator := generated(t, p.admin, data, nil)
	if got := result[apitest.HealthzResponse](t)(operator.HealthzWithResponse(ctx)); got.JSON200 == nil || got.JSON200.Status != apitest.StatusWordOk {
		t.Errorf("healthz: %s", got.Body)
	}
	if got := result[apitest.ReadyzResponse](t)(operator.ReadyzWithResponse(ctx)); got.JSON200 == nil || got.JSON200.Status != apitest.StatusWordReady {
		t.Errorf("readyz: %s", got.Body)
	}
}

func TestAGeneratedClientPlacesABatch(t *testing.T) {
	data := t.TempDir()
	p := startDev(t, data)
	shop := generated(t, p.base, data, &webshop)
	line := func(id, amount string) apitest.BatchOrder {
		order := generatedOrder(t, "", amount)
		return apitest.BatchOrder{OrderId: id, CustomerId: "alice", ItemIds: order.ItemIds, PaymentDetails: order.PaymentDetails}
	}
	lines := []apitest.BatchOrder{line("b-1", "50.00"), line("b-2", "20.00"), line("b-1", "50.00"), line("b-2", "30.00"), line("b-3", "-1"), line("b-4", "10.00")}

	// Each line is sent once the one before it is answered: neither side waits for the other's end.
	body, sending := io.Pipe()
	answers := make(chan apitest.BatchAnswer)
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
	var got []apitest.BatchAnswer
	for decoder := json.NewDecoder(response.Body); ; {
		var answer apitest.BatchAnswer
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
	want := []apitest.LineStatus{apitest.LineStatusPlaced, apitest.LineStatusPlaced, apitest.LineStatusReplayed, apitest.LineStatusConflict, apitest.LineStatusProblem, apitest.LineStatusPlaced}
	if len(got) != len(want) {
		t.Fatalf("%d lines are answered with %d", len(want), len(got))
	}
	for n, answer := range got {
		if answer.Line != int64(n)+1 || answer.Status != want[n] || answer.OrderId == nil || *answer.OrderId != lines[n].OrderId {
			t.Errorf("line %d is answered with %+v, want %s", n+1, answer, want[n])
		}
		accepted := answer.Status == apitest.LineStatusPlaced || answer.Status == apitest.LineStatusReplayed
		if accepted != (answer.Points != nil && answer.Position != nil) || accepted == (answer.Problem != nil) {
			t.Errorf("line %d is answered with %+v", n+1, answer)
		}
	}
	isProblem(t, "a line that conflicts", got[3].Problem, apitest.CodeConflict, http.StatusConflict)
	isProblem(t, "a line that is wrong", got[4].Problem, apitest.CodeAmountNegative, http.StatusBadRequest)

	refused, err := shop.PlaceOrdersWithBodyWithResponse(t.Context(), nil, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	isProblem(t, "no lines", refused.ApplicationproblemJSON415, apitest.CodeContentTypeUnsupported, http.StatusUnsupportedMediaType)
	stranger, err := generated(t, p.base, data, nil).PlaceOrdersWithBodyWithResponse(t.Context(), nil, "application/x-ndjson", strings.NewReader("{}\n"))
	if err != nil {
		t.Fatal(err)
	}
	isProblem(t, "no token", stranger.ApplicationproblemJSON401, apitest.CodeTokenMissing, http.StatusUnauthorized)
}
