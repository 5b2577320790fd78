package api_test

import (
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"loyalty/api"
	"loyalty/api/auth"
)

// Given a live page and a batch that are open, each with a token that is good for an hour
// When the subjects are put on the list of those that are refused
// Then both end before anything more is shown or placed, and nothing new begins; others go on.
func TestWhoIsRefusedEndsWithWhatTheyHaveOpen(t *testing.T) {
	list := filepath.Join(t.TempDir(), "refused.txt")
	write := func(text string) {
		if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# nobody yet\n")
	refused, err := auth.OpenRefused(list, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := startBoard(t, true, func(c *api.Config, _ *http.Server) {
		c.Commands = fixed{}
		if c.Verifier, err = auth.NewSecretVerifier(tokenSecret, auth.Settings{Refused: refused}, time.Now); err != nil {
			t.Fatal(err)
		}
	})
	page, others := openPage(t, s.site, ann, "/loyalty/ann/live", ""), openPage(t, s.site, customer("bob"), "/loyalty/bob/live", "")
	page.next(t)
	others.next(t)
	batch := s.openAs(t, till)
	batch.send(t, lineOf("o-1", `1`, "ann")+"\n")
	if got, more := batch.next(t); !more || got.Status != "placed" {
		t.Fatalf("a batch is answered with %+v", got)
	}

	write("ann      # lost her telephone\n" + till.Subject + "\n")
	if err := refused.Reload(); err != nil {
		t.Fatal(err)
	}
	s.give(t, "bob", 5)
	if e := page.next(t); e != (event{name: "expired", data: "{}"}) {
		t.Errorf("the page is told %+v", e)
	}
	if e, err := page.read(); err != io.EOF {
		t.Errorf("and then %+v, %v", e, err)
	}
	if e := others.next(t); e.name != "dashboard" {
		t.Errorf("another page is told %+v", e)
	}
	batch.send(t, lineOf("o-2", `1`, "ann")+"\n")
	if got, more := batch.next(t); more {
		t.Errorf("the batch goes on with %+v", got)
	}
	for _, x := range []exchange{
		{as: ann, method: "GET", path: "/loyalty/ann", status: 401, code: "token_invalid"},
		{as: till, method: "POST", path: "/order/o-3", body: orderOf(`1`, "ann"), status: 401, code: "token_invalid"},
		{as: customer("bob"), method: "GET", path: "/loyalty/bob", status: 200},
		{as: named(till, "till-8"), method: "POST", path: "/order/o-3", body: orderOf(`1`, "ann"), status: 201},
	} {
		s.do(t, x)
	}
	write("not a subject!\n")
	if err := refused.Reload(); err == nil {
		t.Error("a list with a line that is no subject is read")
	}
	s.do(t, exchange{as: ann, method: "GET", path: "/loyalty/ann", status: 401, code: "token_invalid"})
	write("")
	if err := refused.Reload(); err != nil {
		t.Fatal(err)
	}
	s.do(t, exchange{as: ann, method: "GET", path: "/loyalty/ann", status: 200})
}
