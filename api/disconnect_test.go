package api_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"
)

// Given clients on plain TCP connections
// When each goes away at a random moment: in the middle of sending, at once after, or while it waits for the answer
// Then each order's stream holds both of its events or none, and sending the order again gives the one answer.
func TestAClientThatGoesAwayLeavesItsOrderWholeOrNotThere(t *testing.T) {
	const rounds = 300
	s := startStack(t, loadDocument(t))
	random := rand.New(rand.NewPCG(11, 6))
	token := mint(t, till)
	appended := 0
	for i := range rounds {
		id := fmt.Sprintf("gone-%d", i)
		body := orderOf(`"129.99"`, "ann")
		text := fmt.Sprintf("POST /order/%s HTTP/1.1\r\nHost: loyalty\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
			"Content-Length: %d\r\n\r\n%s", id, token, len(body), body)
		if i%3 == 0 {
			line := lineOf(id, `"129.99"`, "ann")
			text = fmt.Sprintf("POST /orders HTTP/1.1\r\nHost: loyalty\r\nAuthorization: Bearer %s\r\nContent-Type: application/x-ndjson\r\n"+
				"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\n\r\n", token, len(line)+1, line)
		}
		sent := len(text)
		if random.IntN(3) == 0 {
			sent = random.IntN(len(text))
		}
		goAway(t, s.url, text[:sent], time.Duration(random.IntN(6))*time.Millisecond)
	}
	for i := range rounds {
		id := fmt.Sprintf("gone-%d", i)
		events, _, err := s.store.Load(t.Context(), "order-store."+id)
		if err != nil {
			t.Fatal(err)
		}
		if len(events) != 0 && len(events) != 2 {
			t.Errorf("order %s has %d events", id, len(events))
		}
		if len(events) == 2 {
			appended++
		}
	}
	t.Logf("%d of %d orders were appended", appended, rounds)
	if appended == 0 || appended == rounds {
		t.Errorf("%d of %d orders were appended: no moment was in the middle", appended, rounds)
	}
	for i := range rounds {
		body := orderOf(`"129.99"`, "ann")
		if i%3 == 0 {
			body = strings.Replace(body, `"sku-1", "sku-2"`, `"sku-1"`, 1)
			body = strings.Replace(body, `, "method": "card"`, "", 1)
		}
		x := exchange{as: till, method: "POST", path: fmt.Sprintf("/order/gone-%d", i), body: body}
		first := s.send(t, x)
		x.status = 200
		again := s.do(t, x)
		if first.status != 200 && first.status != 201 || string(first.body) != string(again.body) {
			t.Errorf("order %d is answered with %d %s, then with %s", i, first.status, first.body, again.body)
		}
		events, _, err := s.store.Load(t.Context(), fmt.Sprintf("order-store.gone-%d", i))
		if err != nil || len(events) != 2 {
			t.Errorf("order %d has %d events in the end, %v", i, len(events), err)
		}
	}
}

// goAway sends a text, and closes the connection when it has waited that long for an answer; every other time with a reset.
func goAway(t *testing.T, url, text string, wait time.Duration) {
	t.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if _, err := io.WriteString(connection, text); err != nil {
		t.Fatal(err)
	}
	if err := connection.SetReadDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	// Whether an answer comes in time is part of what is random.
	_, _ = connection.Read(make([]byte, 1))
	if len(text)%2 == 0 {
		if err := connection.(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
	}
}
