package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"loyalty/api"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/eventstore/storetest"
)

// Given the limits that support has by default: 500 points an adjustment, and 2,000 a day
// When one person gives 500 points again and again
// Then the fifth time waits for a second person; and neither a colleague nor a channel waits for what that person did.
func TestWhatOnePersonGivesInADayIsLimitedByDefault(t *testing.T) {
	_, target := storetest.Start(t)
	handler, err := commands.New(storetest.Connect(t, target), commands.Options{Policy: domain.DefaultPolicy(), Now: time.Now, NewID: uuid.New})
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, loadDocument(t), func(c *api.Config) { c.Commands = handler })
	gives := func(x exchange, customer, key, points string) adjusted {
		t.Helper()
		x.method, x.path, x.header = "POST", "/loyalty/"+customer, http.Header{"Idempotency-Key": {key}}
		x.body = `{"loyalty-points": ` + points + `, "reason": "lost parcel"}`
		return decode[adjusted](t, s.do(t, x))
	}
	gives(exchange{as: support, status: 202}, "ann", "k-0", "501")
	for _, key := range []string{"k-1", "k-2", "k-3", "k-4"} {
		gives(exchange{as: support, status: 201}, "ann", key, "500")
	}
	if got := gives(exchange{as: support, status: 202}, "bob", "k-5", "-1"); got.Status != "waiting" {
		t.Errorf("got %+v", got)
	}
	if again := gives(exchange{as: support, status: 200}, "ann", "k-4", "500"); again.Status != "made" {
		t.Errorf("again it is %+v", again)
	}
	gives(exchange{as: named(support, "staff-9"), status: 201}, "ann", "k-6", "500")
	for _, key := range []string{"k-7", "k-8", "k-9"} {
		gives(exchange{as: awarder, status: 201}, "ann", key, "1000")
	}
}
