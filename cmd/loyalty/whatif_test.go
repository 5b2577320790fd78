package main

import (
	"encoding/json"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"

	"loyalty/analytics/replay"
	"loyalty/api/auth"
	"loyalty/internal/app"
)

var analystClaims = auth.Claims{Subject: "analyst-1", Role: auth.RoleAnalyst}

// whatIfLine is a line of the answer to a what-if.
type whatIfLine struct {
	Progress *struct {
		Doing       string
		Done, Total uint64
	}
	Report *replay.Report
}

// lastReport is what a what-if came to.
func lastReport(t testing.TB, body []byte) *replay.Report {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(string(body)), "\n")
	var last whatIfLine
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Report == nil {
		t.Fatalf("%v in %s", err, body)
	}
	return last.Report
}

// The whole program answers analysts as its commands do.
func TestAnalystsAskAProcessThatServes(t *testing.T) {
	text := `{"id": "more", "spendPerPoint": {"GBP": 200}, "pointValue": 1}`
	policy := withPolicy(t, text)
	data := shopped(t, func(string) {})
	p := newClient(t, startDev(t, data), data)
	for _, c := range []struct{ more, arguments string }{
		{`, "top": 2`, "--top 2"}, {`, "by": "channel", "until": "5"`, "--by channel --until 5"},
	} {
		got := lastReport(t, p.must(http.StatusOK, nil, analystClaims, http.MethodPost, "/what-if", `{"policy": `+text+c.more+`}`).body)
		want := replayed(t, nil, append([]string{"--data", data, "--policy", policy}, strings.Fields(c.arguments)...)...)
		if !reflect.DeepEqual(*got, want.Report) {
			t.Errorf("%s: got %+v, loyalty replay has %+v", c.more, got, want.Report)
		}
	}
	var best struct {
		Top       []struct{ Rank, Points int64 }
		Customers int64
	}
	p.must(http.StatusOK, &best, analystClaims, http.MethodGet, "/leaderboard?asOf=5", nil, "Loyalty-Min-Position: 8")
	if len(best.Top) != 2 || best.Top[0].Points != 10 || best.Top[1].Rank != 2 || best.Customers != 2 {
		t.Errorf("at position 5 the best are %+v", best)
	}
	var earned struct {
		Earnings []struct {
			Channel                     *string
			Awarded, Reversed, Adjusted int64
		}
	}
	p.must(http.StatusOK, &earned, analystClaims, http.MethodGet, "/earnings", nil, "Loyalty-Min-Position: 8")
	var sum int64
	for _, e := range earned.Earnings {
		sum += e.Awarded + e.Reversed + e.Adjusted
	}
	if len(earned.Earnings) < 2 || sum != 29 {
		t.Errorf("the earnings are %+v", earned)
	}
}

func TestAProcessNeedNotAnswerWhatIfs(t *testing.T) {
	data := shopped(t, func(string) {})
	f := app.Folder(data)
	environment := []string{"LOYALTY_PROXY_SECRET=" + readText(t, f.ProxySecretFile()), "LOYALTY_TOKEN_SECRET=" + readText(t, f.TokenSecretFile())}
	at := f.Connections()
	p := start(t, environment, "serve", "--addr", "127.0.0.1:0", "--eventstore", at.Eventstore, "--ledger", at.Ledger, "--leaderboard", at.Leaderboard, "--no-what-if")
	c := clientWith(t, p, []byte(readText(t, f.TokenSecretFile())))
	c.must(http.StatusNotFound, nil, analystClaims, http.MethodPost, "/what-if", `{"policy": {"id": "more", "spendPerPoint": {"GBP": 200}}}`)
	c.must(http.StatusOK, nil, analystClaims, http.MethodGet, "/earnings", nil)
}

func readText(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}
