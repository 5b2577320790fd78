package api_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

// runInvalid sends everything that is not to be accepted to a stack in which ann has placed order o-1 for £129.99, and
// makes sure that it is answered with its own code and leaves the log as it was.
func runInvalid(t *testing.T, doc *document) {
	s := startStack(t, doc)
	s.do(t, exchange{as: till, method: "POST", path: "/order/o-1", body: orderOf(`"129.99"`, "ann"), status: 201})
	s.do(t, exchange{as: support, method: "POST", path: "/order/store.o-1/returns/r-1", body: `{"amount": "10.00"}`, status: 201})
	s.do(t, exchange{as: support, method: "POST", path: "/loyalty/ann", body: `{"loyalty-points": 2, "reason": "goodwill"}`, status: 201,
		header: http.Header{"Idempotency-Key": {"key-1"}}})
	end := s.end()
	for _, x := range invalid(t) {
		t.Run(fmt.Sprintf("%s %.40s %s", x.method, x.path, x.name), func(t *testing.T) {
			s.do(t, x)
			if got := s.end(); got != end {
				t.Errorf("the log grew from %s to %s", end, got)
			}
		})
	}
}

func TestABodyThatEndsTooEarlyIsMalformed(t *testing.T) {
	s := startStack(t, loadDocument(t))
	end := s.end()
	connection, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	body := orderOf(`1`, "ann")
	_, err = fmt.Fprintf(connection, "POST /order/o-9 HTTP/1.1\r\nHost: loyalty\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", mint(t, till), len(body)+1, body)
	if err := errors.Join(err, connection.(*net.TCPConn).CloseWrite()); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusBadRequest || s.end() != end {
		t.Errorf("answered with %d, and the log ends at %s", response.StatusCode, s.end())
	}
}

func invalid(t *testing.T) []exchange {
	all := append(invalidOrders(), invalidReturns()...)
	all = append(all, invalidAdjustments()...)
	all = append(all, invalidDecisions()...)
	all = append(all, invalidReads()...)
	all = append(all, invalidLookups()...)
	all = append(all, invalidReveals(t)...)
	all = append(all, invalidLists()...)
	all = append(all, invalidPasts()...)
	all = append(all, invalidSeasons()...)
	all = append(all, invalidAnalyses()...)
	for _, route := range []exchange{
		{method: "POST", path: "/order/o-9", body: orderOf(`1`, "ann"), as: till},
		{method: "POST", path: "/order/o-1/returns/r-9", body: `{"amount": "1.00"}`, as: till},
		{method: "POST", path: "/loyalty/ann", body: `{"loyalty-points": 1, "reason": "goodwill"}`, as: support},
		{method: "POST", path: "/orders", body: lineOf("o-9", `1`, "ann"), as: till},
		{method: "POST", path: approvalPath, as: support},
		{method: "POST", path: declinePath, body: `{"reason": "no receipt"}`, as: support},
		{method: "GET", path: "/loyalty/ann", as: ann},
		{method: "GET", path: "/loyalty/ann/trail", as: ann},
		{method: "GET", path: "/loyalty/ann/changes?since=2026-10-01", as: support},
		{method: "GET", path: "/loyalty/ann/entries/" + entryID, as: support},
		{method: "GET", path: "/search?q=o-1", as: support},
		{method: "GET", path: "/seasons", as: ann},
		{method: "GET", path: "/session", as: ann},
		{method: "GET", path: "/approvals", as: support},
		{method: "GET", path: "/acts", as: auditor},
		{method: "GET", path: "/leaderboard?asOf=2026-10-01", as: analyst},
		{method: "GET", path: "/earnings", as: analyst},
		{method: "POST", path: "/what-if", body: whatIf.body, as: analyst},
		{method: "POST", path: "/reveals", body: revealing(t, "ann").body, as: revealer},
	} {
		all = append(all, deniedCallers(t, route)...)
		if route.method == "POST" {
			all = append(all, invalidQueries(route)...)
		}
		if route.method == "POST" && route.path != approvalPath {
			all = append(all, invalidTypes(route)...)
		}
		if route.method == "POST" && route.path != approvalPath && route.path != "/orders" {
			all = append(all, invalidBodies(route)...)
		}
	}
	return append(all,
		exchange{name: "nothing is here", as: ann, method: "GET", path: "/nowhere", status: 404, code: "route_not_found"},
		exchange{name: "more path than there is", as: till, method: "POST", path: "/order/o-1/returns/r-9/items", body: `{"amount": 1}`, status: 404, code: "route_not_found"},
		exchange{name: "no id at all", as: ann, method: "GET", path: "/loyalty/", status: 404, code: "route_not_found"},
		exchange{name: "no id at all", as: till, method: "POST", path: "/order/", body: orderOf(`1`, "ann"), status: 404, code: "route_not_found"},
		exchange{name: "an empty id", as: ann, method: "GET", path: "/loyalty//trail", status: 404, code: "route_not_found"},
		exchange{name: "a slash too many", as: ann, method: "GET", path: "/loyalty/ann/trail/", status: 404, code: "route_not_found"},
		exchange{name: "another method", as: till, method: "PUT", path: "/order/o-9", body: orderOf(`1`, "ann"), status: 405, code: "method_not_allowed"},
	)
}

// invalidQueries asks a write for what it can't do, or asks wrongly for a preview.
func invalidQueries(route exchange) (all []exchange) {
	at := func(query, code, field string) {
		x := route
		x.path += "?" + query
		all = append(all, bad(x, "a query", x.body, code, field))
	}
	at("preveiw=true", "parameter_unknown", "preveiw")
	at("Preview=true&x=1", "parameter_unknown", "Preview")
	at("dry_run", "parameter_unknown", "dry_run")
	at("%zz", "query_malformed", "query")
	if !strings.Contains(route.path, "/returns/") && route.path != "/loyalty/ann" && route.path != approvalPath {
		at("preview=true", "parameter_unknown", "preview")
		return all
	}
	at("preview=", "preview_malformed", "preview")
	at("preview=true&preview=true", "parameter_repeated", "preview")
	at("preview=true&asOf=2026", "parameter_unknown", "asOf")
	return all
}

// bad derives an exchange that is answered with 400 from one that is not.
func bad(x exchange, name, body, code, field string) exchange {
	x.name, x.body, x.status, x.code, x.field = name, body, 400, code, field
	return x
}

var long = strings.Repeat("a", 65)

func invalidOrders() []exchange {
	base := exchange{as: till, method: "POST", path: "/order/o-9"}
	at := func(path string) exchange { x := base; x.path = path; return x }
	pays := func(members string) string {
		return fmt.Sprintf(`{"ItemIds": ["sku-1"], "paymentDetails": {%s}, "customerId": "ann"}`, members)
	}
	amount := func(text string) string { return pays(`"currency": "GBP", "amount": ` + text) }
	lists := func(items string) string {
		return fmt.Sprintf(`{"ItemIds": %s, "paymentDetails": {"amount": "1.00", "currency": "GBP"}, "customerId": "ann"}`, items)
	}
	for_ := func(customer string) string {
		return fmt.Sprintf(`{"ItemIds": ["sku-1"], "paymentDetails": {"amount": "1.00", "currency": "GBP"}%s}`, customer)
	}
	const amountField, currencyField, methodField = "paymentDetails.amount", "paymentDetails.currency", "paymentDetails.method"
	all := []exchange{
		bad(base, "no amount", pays(`"currency": "GBP"`), "amount_missing", amountField),
		bad(base, "null amount", amount(`null`), "amount_missing", amountField),
		bad(base, "empty amount", amount(`""`), "amount_missing", amountField),
		bad(base, "NaN as a string", amount(`"NaN"`), "amount_malformed", amountField),
		bad(base, "NaN as a number", amount(`NaN`), "json_malformed", ""),
		bad(base, "1e400", amount(`1e400`), "amount_malformed", amountField),
		bad(base, "an exponent in a string", amount(`"1e2"`), "amount_malformed", amountField),
		bad(base, "a comma", amount(`"12,99"`), "amount_malformed", amountField),
		bad(base, "a space", amount(`" 12.99"`), "amount_malformed", amountField),
		bad(base, "amount is true", amount(`true`), "amount_malformed", amountField),
		bad(base, "amount is an object", amount(`{}`), "amount_malformed", amountField),
		bad(base, "negative string", amount(`"-1.00"`), "amount_negative", amountField),
		bad(base, "negative number", amount(`-1`), "amount_negative", amountField),
		bad(base, "three decimals in a string", amount(`"1.005"`), "amount_too_precise", amountField),
		bad(base, "too large", amount(`"1000000000000"`), "amount_too_large", amountField),
		bad(base, "no currency", pays(`"amount": "1.00"`), "currency_missing", currencyField),
		bad(base, "another currency", pays(`"amount": "1.00", "currency": "USD"`), "currency_unknown", currencyField),
		bad(base, "currency in lower case", pays(`"amount": "1.00", "currency": "gbp"`), "currency_unknown", currencyField),
		bad(base, "currency is a number", pays(`"amount": "1.00", "currency": 826`), "currency_malformed", currencyField),
		bad(base, "method is a number", pays(`"amount": "1.00", "currency": "GBP", "method": 1`), "method_malformed", methodField),
		bad(base, "method is a card number", pays(`"amount": "1.00", "currency": "GBP", "method": "4929138475551234"`), "method_malformed", methodField),
		bad(base, "method holds a line feed", pays(`"amount": "1.00", "currency": "GBP", "method": "ca\nrd"`), "method_malformed", methodField),
		bad(base, "method too long", pays(`"amount": "1.00", "currency": "GBP", "method": "`+long+`"`), "method_too_long", methodField),
		bad(base, "no payment", `{"ItemIds": ["sku-1"], "customerId": "ann"}`, "payment_missing", "paymentDetails"),
		bad(base, "payment is a string", `{"ItemIds": ["sku-1"], "paymentDetails": "1.00", "customerId": "ann"}`, "payment_malformed", "paymentDetails"),
		bad(base, "amount twice", pays(`"amount": "1.00", "currency": "GBP", "amount": "2.00"`), "field_repeated", amountField),
		bad(base, "no items", `{"paymentDetails": {"amount": "1.00", "currency": "GBP"}, "customerId": "ann"}`, "items_empty", "ItemIds"),
		bad(base, "empty items", lists(`[]`), "items_empty", "ItemIds"),
		bad(base, "501 items", lists(`["a"`+strings.Repeat(`,"a"`, 500)+`]`), "items_too_many", "ItemIds"),
		bad(base, "items is a string", lists(`"sku-1"`), "items_malformed", "ItemIds"),
		bad(base, "an item is a number", lists(`["sku-1", 2]`), "id_malformed", "ItemIds[1]"),
		bad(base, "an item is null", lists(`[null]`), "id_malformed", "ItemIds[0]"),
		bad(base, "an item is empty", lists(`["sku-1", ""]`), "id_missing", "ItemIds[1]"),
		bad(base, "an item outside the alphabet", lists(`["sku 1"]`), "id_malformed", "ItemIds[0]"),
		bad(base, "an item too long", lists(`["`+long+`"]`), "id_too_long", "ItemIds[0]"),
		bad(base, "a channel names nobody", for_(``), "customer_id_missing", "customerId"),
		bad(base, "customerId is empty", for_(`, "customerId": ""`), "id_missing", "customerId"),
		bad(base, "customerId is a number", for_(`, "customerId": 7`), "id_malformed", "customerId"),
		bad(base, "customerId is an e-mail address", for_(`, "customerId": "ann@example.com"`), "id_malformed", "customerId"),
		bad(base, "customerId too long", for_(`, "customerId": "`+long+`"`), "id_too_long", "customerId"),
		bad(base, "a field too many", for_(`, "customerId": "ann", "points": 1000`), "field_unknown", "points"),
		bad(base, "a field in other case", for_(`, "customerId": "ann", "itemIds": ["a"]`), "field_unknown", "itemIds"),
		bad(base, "customerId twice", for_(`, "customerId": "ann", "customerId": "bob"`), "field_repeated", "customerId"),
		bad(at("/order/a%20b"), "order id outside the alphabet", orderOf(`1`, "ann"), "id_malformed", "orderId"),
		bad(at("/order/a%2Fb"), "order id with an escaped slash", orderOf(`1`, "ann"), "id_malformed", "orderId"),
		bad(at("/order/a%252Db"), "order id escaped twice", orderOf(`1`, "ann"), "id_malformed", "orderId"),
		bad(at("/order/"+long), "order id too long", orderOf(`1`, "ann"), "id_too_long", "orderId"),
		bad(at("/order/"+long), "faults in several fields", pays(`"amount": "-1.00"`), "invalid_input", ""),
		{name: "other content under the same id", as: till, method: "POST", path: "/order/o-1", body: orderOf(`"130.00"`, "ann"), status: 409, code: "conflict"},
		{name: "another customer under the same id", as: till, method: "POST", path: "/order/o-1", body: orderOf(`"129.99"`, "bob"), status: 409, code: "conflict"},
		{name: "more points than one order may earn", as: till, method: "POST", path: "/order/o-9", body: orderOf(`"999999999999.99"`, "ann"), status: 422, code: "order_points_limit"},
		{name: "a customer for another", as: customerWithOrder("ann"), method: "POST", path: "/order/o-9", body: orderOf(`1`, "bob"), status: 403, code: "forbidden"},
		{name: "a customer for another, and with other faults", as: customerWithOrder("ann"), method: "POST", path: "/order/o-9", body: orderOf(`-1`, "bob"), status: 403, code: "forbidden"},
	}
	// A schema that is exact about JSON numbers in binary would be exact about the wrong thing, so that the document
	// leaves the decimals of one to words.
	number := bad(base, "three decimals in a number", amount(`1.005`), "amount_too_precise", amountField)
	number.wordy = true
	return append(all, number)
}

func invalidReturns() []exchange {
	base := exchange{as: support, method: "POST", path: "/order/store.o-1/returns/r-9"}
	at := func(path string) exchange { x := base; x.path = path; return x }
	one := `{"amount": "1.00"}`
	return []exchange{
		bad(base, "no amount", `{}`, "amount_missing", "amount"),
		bad(base, "malformed amount", `{"amount": "one"}`, "amount_malformed", "amount"),
		bad(base, "negative amount", `{"amount": "-1.00"}`, "amount_negative", "amount"),
		bad(base, "nothing returned", `{"amount": "0.00"}`, "amount_zero", "amount"),
		bad(base, "three decimals", `{"amount": "1.005"}`, "amount_too_precise", "amount"),
		bad(base, "too large", `{"amount": "1000000000000"}`, "amount_too_large", "amount"),
		bad(base, "reason is a number", `{"amount": "1.00", "reason": 1}`, "reason_malformed", "reason"),
		bad(base, "reason holds a line feed", `{"amount": "1.00", "reason": "too\nsmall"}`, "reason_malformed", "reason"),
		bad(base, "reason too long", `{"amount": "1.00", "reason": "`+strings.Repeat("x", 501)+`"}`, "reason_too_long", "reason"),
		bad(base, "a field too many", `{"amount": "1.00", "currency": "GBP"}`, "field_unknown", "currency"),
		bad(base, "amount twice", `{"amount": "1.00", "amount": "1.00"}`, "field_repeated", "amount"),
		bad(base, "two faults", `{"amount": "x", "reason": "`+strings.Repeat("x", 501)+`"}`, "invalid_input", ""),
		bad(at("/order/o.1/returns/r-9"), "order id outside the alphabet", one, "id_malformed", "orderId"),
		bad(at("/order/o-1/returns/r.9"), "return id outside the alphabet", one, "id_malformed", "returnId"),
		bad(at("/order/o-1/returns/"+long), "return id too long", one, "id_too_long", "returnId"),
		bad(at("/order/o-1/returns/r-9?preview=perhaps"), "preview is a word", one, "preview_malformed", "preview"),
		bad(at("/order/o-1/returns/r-9?preview=%zz"), "a malformed query", one, "query_malformed", "query"),
		{name: "an order that never was", as: support, method: "POST", path: "/order/store.o-0/returns/r-9", body: one, status: 404, code: "not_found"},
		{name: "more than is left", as: support, method: "POST", path: "/order/store.o-1/returns/r-9", body: `{"amount": "120.00"}`, status: 422, code: "return_exceeds_paid"},
		{name: "other content under the same id", as: support, method: "POST", path: "/order/store.o-1/returns/r-1", body: one, status: 409, code: "conflict"},
	}
}

func invalidAdjustments() []exchange {
	base := exchange{as: support, method: "POST", path: "/loyalty/ann"}
	at := func(path string) exchange { x := base; x.path = path; return x }
	keyed := func(keys ...string) exchange { x := base; x.header = http.Header{"Idempotency-Key": keys}; return x }
	gives := func(points string) string {
		return fmt.Sprintf(`{"loyalty-points": %s, "reason": "goodwill"}`, points)
	}
	conflict := keyed("key-1")
	conflict.name, conflict.body, conflict.status, conflict.code = "other content under the same key", gives(`3`), 409, "conflict"
	whole := bad(base, "points with decimals that are none", gives(`25.0`), "points_malformed", "loyalty-points")
	exponent := bad(base, "points with an exponent", gives(`2e1`), "points_malformed", "loyalty-points")
	// To JSON Schema these two are integers.
	whole.wordy, exponent.wordy = true, true
	missing := bad(keyed(), "no key", gives(`1`), "idempotency_key_missing", "Idempotency-Key")
	twice := bad(keyed("k-1", "k-1"), "two keys", gives(`1`), "idempotency_key_repeated", "Idempotency-Key")
	// Previews may be without a key, and the document's reader takes the first of two.
	missing.wordy, twice.wordy = true, true
	return []exchange{
		conflict, whole, exponent, missing, twice,
		bad(base, "no points", `{"reason": "goodwill"}`, "points_missing", "loyalty-points"),
		bad(base, "points as a string", gives(`"25"`), "points_malformed", "loyalty-points"),
		bad(base, "half a point", gives(`0.5`), "points_malformed", "loyalty-points"),
		bad(base, "no point", gives(`0`), "points_zero", "loyalty-points"),
		bad(base, "too many points", gives(`134217728`), "points_out_of_range", "loyalty-points"),
		bad(base, "too many digits", gives(`-`+strings.Repeat("9", 30)), "points_out_of_range", "loyalty-points"),
		bad(base, "no reason", `{"loyalty-points": 1}`, "reason_missing", "reason"),
		bad(base, "reason is a number", `{"loyalty-points": 1, "reason": 1}`, "reason_malformed", "reason"),
		bad(base, "reason too long", `{"loyalty-points": 1, "reason": "`+strings.Repeat("x", 501)+`"}`, "reason_too_long", "reason"),
		bad(base, "a field too many", `{"loyalty-points": 1, "reason": "goodwill", "Loyalty-Points": 2}`, "field_unknown", "Loyalty-Points"),
		bad(base, "points twice", `{"loyalty-points": 1, "loyalty-points": 2, "reason": "goodwill"}`, "field_repeated", "loyalty-points"),
		bad(base, "two faults", `{"loyalty-points": "x"}`, "invalid_input", ""),
		bad(at("/loyalty/a%20b"), "customer outside the alphabet", gives(`1`), "id_malformed", "userId"),
		bad(at("/loyalty/"+long), "customer too long", gives(`1`), "id_too_long", "userId"),
		bad(at("/loyalty/ann?preview=perhaps"), "preview is a word", gives(`1`), "preview_malformed", "preview"),
		bad(at("/loyalty/ann?preview=%zz"), "a malformed query", gives(`1`), "query_malformed", "query"),
		bad(keyed(""), "empty key", gives(`1`), "idempotency_key_missing", "Idempotency-Key"),
		bad(keyed(`"a key"`), "quoted key outside the alphabet", gives(`1`), "id_malformed", "Idempotency-Key"),
		bad(keyed("a key"), "key outside the alphabet", gives(`1`), "id_malformed", "Idempotency-Key"),
	}
}

const (
	approvalPath = "/loyalty/ann/adjustments/key-9/approval"
	declinePath  = "/loyalty/ann/adjustments/key-9/refusal"
)

func invalidDecisions() []exchange {
	approval := exchange{as: support, method: "POST", path: approvalPath}
	decline := exchange{as: support, method: "POST", path: declinePath}
	at := func(x exchange, path string) exchange { x.path = path; return x }
	const reason = `{"reason": "no receipt"}`
	none := exchange{name: "what nobody asked for", as: support, method: "POST", path: approvalPath, status: 404, code: "not_found"}
	noneDeclined := none
	noneDeclined.path, noneDeclined.body = declinePath, reason
	made := none
	made.name, made.path = "what was made at once", "/loyalty/ann/adjustments/staff.key-1/approval"
	return []exchange{
		none, noneDeclined, made,
		bad(at(approval, "/loyalty/a%20b/adjustments/key-9/approval"), "customer outside the alphabet", "", "id_malformed", "userId"),
		bad(at(approval, "/loyalty/ann/adjustments/shop.key-9/approval"), "no issuer's", "", "id_malformed", "loyaltyId"),
		bad(at(approval, "/loyalty/ann/adjustments/"+long+"/approval"), "id too long", "", "id_too_long", "loyaltyId"),
		bad(at(approval, "/loyalty/a%20b/adjustments/"+long+"/approval"), "two faults", "", "invalid_input", ""),
		bad(at(approval, approvalPath+"?preview=perhaps"), "preview is a word", "", "preview_malformed", "preview"),
		bad(at(approval, approvalPath+"?preview=%zz"), "a malformed query", "", "query_malformed", "query"),
		bad(at(decline, "/loyalty/a%20b/adjustments/key-9/refusal"), "customer outside the alphabet", reason, "id_malformed", "userId"),
		bad(at(decline, "/loyalty/ann/adjustments/"+long+"/refusal"), "id too long", reason, "id_too_long", "loyaltyId"),
		bad(decline, "no reason", `{}`, "reason_missing", "reason"),
		bad(decline, "reason is a number", `{"reason": 1}`, "reason_malformed", "reason"),
		bad(decline, "reason too long", `{"reason": "`+strings.Repeat("x", 501)+`"}`, "reason_too_long", "reason"),
		bad(decline, "a field too many", `{"reason": "no receipt", "points": 2}`, "field_unknown", "points"),
		bad(decline, "reason twice", `{"reason": "a", "reason": "b"}`, "field_repeated", "reason"),
		bad(at(decline, "/loyalty/a%20b/adjustments/key-9/refusal"), "two faults", `{}`, "invalid_input", ""),
	}
}

func invalidReads() []exchange {
	base := exchange{as: ann, method: "GET"}
	at := func(path string) exchange { x := base; x.path = path; return x }
	position := at("/loyalty/ann")
	position.header = http.Header{"Loyalty-Min-Position": {"yesterday"}}
	trailPosition := position
	trailPosition.path = "/loyalty/ann/trail"
	bothTrail := position
	bothTrail.path = "/loyalty/ann/trail?limit=0"
	staff := at("/loyalty/a%20b")
	staff.as = support
	var all []exchange
	for _, q := range []string{"top=0", "top=101", "top=ten", "top=", "top=1.5"} {
		all = append(all, bad(at("/loyalty/ann?"+q), q, "", "top_out_of_range", "top"))
	}
	for _, q := range []string{"around=-1", "around=51", "around=two"} {
		all = append(all, bad(at("/loyalty/ann?"+q), q, "", "around_out_of_range", "around"))
	}
	for _, q := range []string{"limit=0", "limit=201"} {
		all = append(all, bad(at("/loyalty/ann/trail?"+q), q, "", "limit_out_of_range", "limit"))
	}
	return append(all,
		bad(at("/loyalty/ann?top=0&around=-1"), "two faults", "", "invalid_input", ""),
		bad(at("/loyalty/ann/trail?limit=0&cursor=%zz"), "a malformed query", "", "query_malformed", "query"),
		bad(at("/loyalty/ann?top=%zz"), "a malformed query", "", "query_malformed", "query"),
		bad(at("/loyalty/ann/trail?kind=award&kind=gift"), "a kind that is none", "", "kind_unknown", "kind"),
		bad(at("/loyalty/ann/trail?channel=fax"), "a channel that is none", "", "channel_unknown", "channel"),
		bad(at("/loyalty/ann/trail?order=a%20b"), "an order outside the alphabet", "", "id_malformed", "order"),
		bad(at("/loyalty/ann/trail?from=yesterday"), "a time that is none", "", "time_malformed", "from"),
		bad(at("/loyalty/ann/trail?until=22.11.2026"), "a day that is none", "", "time_malformed", "until"),
		bad(at("/loyalty/ann/trail?after=x"), "a position that is none", "", "position_malformed", "after"),
		bad(at("/loyalty/ann/trail?cursor=%01"), "a cursor that is none", "", "cursor_invalid", "cursor"),
		bad(position, "a position that is none", "", "position_malformed", "Loyalty-Min-Position"),
		bad(trailPosition, "a position that is none", "", "position_malformed", "Loyalty-Min-Position"),
		bad(staff, "customer outside the alphabet", "", "id_malformed", "userId"),
		bad(at("/loyalty/a.b"), "customer outside the alphabet", "", "id_malformed", "userId"),
		bad(at("/loyalty/a.b/trail"), "customer outside the alphabet", "", "id_malformed", "userId"),
		bad(at("/loyalty/"+long), "customer too long", "", "id_too_long", "userId"),
		bad(at("/loyalty/"+long+"/trail"), "customer too long", "", "id_too_long", "userId"),
		bad(bothTrail, "two faults", "", "invalid_input", ""),
	)
}
