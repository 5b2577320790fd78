package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"loyalty/api/auth"
	"loyalty/domain"
	"loyalty/internal/app"
)

// client calls the API of a process with tokens that "loyalty token" would print.
type client struct {
	t      testing.TB
	base   string
	secret []byte
	http   *http.Client
}

func newClient(t testing.TB, p *process, data string) *client {
	t.Helper()
	secret, err := app.ReadSecret(app.Folder(data).TokenSecretFile())
	if err != nil {
		t.Fatal(err)
	}
	return clientWith(t, p, secret)
}

// clientWith signs its tokens with the secret given.
func clientWith(t testing.TB, p *process, secret []byte) *client {
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{t: t, base: p.base, secret: secret, http: &http.Client{Timeout: patience, Transport: transport}}
}

var (
	webshop       = auth.Claims{Subject: "shop-1", Role: auth.RoleChannel, Channel: domain.Website}
	supportClaims = auth.Claims{Subject: "agent-1", Role: auth.RoleSupport}
)

func customer(id string) auth.Claims { return auth.Claims{Subject: id, Role: auth.RoleCustomer} }

// buyer is a customer who may place orders.
func buyer(id string) auth.Claims {
	return auth.Claims{Subject: id, Role: auth.RoleCustomer, Rights: "order"}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call makes one request. The error is that of a connection that broke.
func (c *client) call(who auth.Claims, method, path string, body any, headers ...string) (answer, error) {
	token, err := auth.Mint(c.secret, who, time.Hour, time.Now())
	if err != nil {
		return answer{}, err
	}
	var payload []byte
	switch b := body.(type) {
	case nil:
	case string:
		payload = []byte(b)
	default:
		if payload, err = json.Marshal(b); err != nil {
			return answer{}, err
		}
	}
	request, err := http.NewRequest(method, c.base+path, bytes.NewReader(payload))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, content}, err
}

// must makes one request that has to be answered with the given status, and reads the answer into result.
func (c *client) must(status int, result any, who auth.Claims, method, path string, body any, headers ...string) answer {
	c.t.Helper()
	got, err := c.call(who, method, path, body, headers...)
	if err != nil {
		c.t.Fatal(err)
	}
	if got.status != status {
		c.t.Fatalf("%s %s: got %d, want %d: %s", method, path, got.status, status, got.body)
	}
	if result != nil {
		if err := json.Unmarshal(got.body, result); err != nil {
			c.t.Fatalf("%s %s: %v: %s", method, path, err, got.body)
		}
	}
	return got
}

// The answers of the API, as a client sees them.
type (
	placedAnswer struct {
		OrderID  string
		Status   string
		Points   int64
		Position string
	}
	returnedAnswer struct {
		ReturnID       string
		PointsReversed int64
		Position       string
	}
	rankAnswer struct {
		Rank      int64
		ProxyName string
		Points    int64
		You       bool
	}
	dashboardAnswer struct {
		You         *rankAnswer
		Top, Around []rankAnswer
		Customers   int64
		Position    string
		AsOf        time.Time
	}
	trailAnswer struct {
		CustomerID string
		Points     int64
		Entries    []struct {
			EntryID           string
			Kind              string
			Points, Total     int64
			OccurredAt        time.Time
			OrderID, ReturnID string
		}
		Next string
	}
)

func orderBody(customer, pence any) map[string]any {
	body := map[string]any{"ItemIds": []string{"sku-1"}, "paymentDetails": map[string]any{"amount": pence, "currency": "GBP", "method": "card"}}
	if customer != nil {
		body["customerId"] = customer
	}
	return body
}

// trail reads all pages of a customer's trail, newest first.
func (c *client) trail(id, position string) trailAnswer {
	c.t.Helper()
	var all trailAnswer
	for cursor := ""; ; {
		var page trailAnswer
		c.must(http.StatusOK, &page, customer(id), http.MethodGet, fmt.Sprintf("/loyalty/%s/trail?limit=20&cursor=%s", id, cursor), nil, "Loyalty-Min-Position: "+position)
		entries := append(all.Entries, page.Entries...)
		all = page
		all.Entries = entries
		if cursor = page.Next; cursor == "" {
			return all
		}
	}
}
