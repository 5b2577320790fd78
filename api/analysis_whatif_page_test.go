package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"loyalty/analytics/replay"
	"loyalty/api"
	"loyalty/api/auth"
	"loyalty/domain"
)

// cells are the texts of a table's body, row by row.
func (d *desk) cells(table string) (rows [][]string) {
	d.t.Helper()
	d.Eval(fmt.Sprintf(`[...document.querySelectorAll(%q + " tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent.trim()))`, table), &rows)
	return rows
}

// Given orders through several channels, a return, and points given by hand
// When an analyst tries out double points for mobile
// Then the page shows side by side what a replay says of the history as it was and under that policy.
func TestAnAnalystTriesOutDoublePointsForMobile(t *testing.T) {
	s := startStack(t, loadDocument(t))
	mobile := auth.Claims{Subject: "app-1", Role: auth.RoleChannel, Channel: domain.Mobile}
	for i := range 15 {
		x := order(fmt.Sprintf("o-%d", i), fmt.Sprintf(`"%d.50"`, 500-30*i), shopper(i))
		if i%3 == 1 {
			x.as = mobile
		}
		s.do(t, x)
	}
	s.do(t, exchange{as: mobile, method: "POST", path: "/order/o-1/returns/r-1", body: `{"amount": "100.00"}`, status: 201})
	s.do(t, exchange{as: support, method: "POST", path: "/loyalty/" + shopper(3), body: `{"loyalty-points": 7, "reason": "goodwill"}`, status: 201})
	question := `{"policy": {"id": "double-mobile", "spendPerPoint": {"GBP": 1000, "EUR": 1150}, "minimum": {"GBP": 10050}, "multipliers": [{"channel": "mobile", "factor": "2", "from": "2020-01-01"}], "pointValue": 1}, "by": "channel"}`
	lines := linesOf(t, s.do(t, exchange{as: analyst, method: "POST", path: "/what-if", body: question, status: 200}).body)
	want := *lines[len(lines)-1].Report

	d := analyse(t, s.url, "#view=what-if")
	d.Allow("400 (Bad Request)")
	d.Type("[name='policy.id']", "double-mobile")
	d.Type("[name='policy.minimum.GBP']", "100.5")
	d.press("#multipliers", "Add a multiplier")
	d.Type("[name='policy.multipliers[0].channel']", "mobile")
	d.Type("[name='policy.multipliers[0].from']", "2020-01-01")
	d.press("#policy", "Try it out")
	d.shows("#report-title", "Under double-mobile")

	if got := d.Text("#difference"); got != signedText(want.Policy.Difference) || want.Policy.Difference <= 0 {
		t.Errorf("the difference is %s, want %d", got, want.Policy.Difference)
	}
	side := func(name string, was, is int64) []string {
		difference := signedText(is - was)
		if is == was {
			difference = "–"
		}
		return []string{name, grouped(was), grouped(is), difference}
	}
	was, is := want.Totals, want.Policy.Totals
	same(t, d.cells("#totals"), [][]string{
		side("Orders", int64(was.Orders), int64(is.Orders)), side("Returns", int64(was.Returns), int64(is.Returns)), side("By hand", int64(was.Adjustments), int64(is.Adjustments)),
		side("Points awarded", was.Awarded, is.Awarded), side("Points taken back", was.Reversed, is.Reversed), side("Points by hand", was.Adjusted, is.Adjusted),
		side("Points outstanding", was.Net, is.Net),
		{"Worth, at 0.01 a point", domain.FormatMinor(want.Policy.Liability.Actual), domain.FormatMinor(want.Policy.Liability.Other), "+" + domain.FormatMinor(want.Policy.Liability.Difference)},
	})
	names := map[string]string{"": "By hand", "mobile": "Mobile", "store": "Stores", "website": "Website"}
	var parts [][]string
	for _, p := range want.Parts {
		row := side(names[p.Name], p.Totals.Net, p.Other.Net)
		parts = append(parts, append([]string{row[0], grouped(int64(p.Totals.Orders))}, row[1:]...))
	}
	same(t, d.cells("#parts"), parts)
	tops := func(places []replay.Place, there func(replay.Place) (rank, points, other int64)) (rows [][]string) {
		for _, p := range places {
			rank, points, other := there(p)
			move := fmt.Sprintf("%d =", other)
			switch {
			case p.OtherRank < p.Rank:
				move = fmt.Sprintf("%d ▲ rises", other)
			case p.OtherRank > p.Rank:
				move = fmt.Sprintf("%d ▼ falls", other)
			}
			rows = append(rows, []string{fmt.Sprint(rank), p.ProxyName, grouped(points), move})
		}
		return rows
	}
	same(t, d.cells(".tops > :first-child"), tops(want.Top, func(p replay.Place) (int64, int64, int64) { return p.Rank, p.Points, p.OtherRank }))
	same(t, d.cells(".tops > :last-child"), tops(want.Policy.Top, func(p replay.Place) (int64, int64, int64) { return p.OtherRank, *p.OtherPoints, p.Rank }))
	d.shows("#up", grouped(want.Policy.Up))
	d.shows("#down", grouped(want.Policy.Down))
	d.shows("#same", grouped(want.Policy.Same))
	moves := want.Policy.Moves
	d.shows("#report dl", fmt.Sprintf("%d (median), %d (90 %%), %d (99 %%)", moves.Median, moves.P90, moves.P99))
	d.shows("#report dl", fmt.Sprintf("%d up, %d down", moves.Up, moves.Down))

	d.faults()
	d.shows("#report-title", "Under double-mobile")
	d.Reload()
	d.Wait(`document.querySelector("[name='policy.multipliers[1].factor']").value === "x" && document.querySelector("[name='policy.minimum.GBP']").value === "100.5"`)
	d.shows("#multipliers li:first-child option:checked", "mobile")
	d.signIn(auth.Claims{Subject: "analyst-2", Role: auth.RoleAnalyst})
	d.Go("about:blank")
	d.Go(s.url + "/analysis#view=what-if")
	d.Wait(`document.querySelector("[name='policy.id']").getClientRects().length > 0 && document.querySelector("[name='policy.id']").value === ""`)
}

// faults writes what is no policy, and expects to be told beside each field.
func (d *desk) faults() {
	d.t.Helper()
	beside := func(field, text string) {
		d.t.Helper()
		d.Wait(fmt.Sprintf(`((field) => field.getAttribute("aria-invalid") === "true" && document.getElementById(field.getAttribute("aria-describedby")).textContent.includes(%q))(document.querySelector(%q))`,
			text, fmt.Sprintf("[name='%s'], [data-field='%[1]s']", field)))
	}
	// What the page can't even send.
	d.Type("[name='policy.pointValue']", "0.001")
	d.press("#policy", "Try it out")
	beside("policy.pointValue", "Write an amount such as 5 or 5.75.")
	d.Wait(`document.activeElement.name === "policy.pointValue"`)
	d.Type("[name='policy.pointValue']", "")
	// What the API refuses.
	d.press("#multipliers", "Add a multiplier")
	d.Type("[name='policy.multipliers[1].factor']", "x")
	d.Type("[name='policy.id']", "")
	d.Type("[name='policy.spendPerPoint.GBP']", "")
	d.Type("[name='policy.spendPerPoint.EUR']", "")
	d.press("#policy", "Try it out")
	beside("policy.id", "name the policy")
	beside("policy.spendPerPoint", "at least one currency")
	beside("policy.multipliers[1].factor", "it must be a decimal")
	d.Accessible()
	d.Type("[name='policy.spendPerPoint.GBP']", "0")
	d.press("#policy", "Try it out")
	beside("policy.spendPerPoint.GBP", "more than 0")
	d.Type("[name='policy.spendPerPoint.GBP']", "5")
	d.Type("[name='policy.id']", "again")
	d.Type("[name=until]", "2001-01-01T00:00:00")
	d.press("#multipliers li:last-child", "Remove multiplier 2")
	d.press("#policy", "Try it out")
	beside("until", "is before the first event")
	d.press("#multipliers", "Add a multiplier")
	d.Type("[name='policy.multipliers[1].factor']", "x")
}

func same(t *testing.T, got, want [][]string) {
	t.Helper()
	line := func(rows [][]string) (text string) {
		for _, row := range rows {
			text += strings.Join(row, " | ") + "\n"
		}
		return text
	}
	if line(got) != line(want) {
		t.Errorf("the page shows\n%s\nwant\n%s", line(got), line(want))
	}
}

// Given a replay that takes its time
// When an analyst waits for it, with the keyboard only
// Then they see how far it is, can cancel it, which ends it, and another's turn comes when theirs is over.
func TestAWhatIfIsFollowedAndCancelled(t *testing.T) {
	t.Parallel() // it waits more than it works
	behind := newHeldReplays()
	s := serve(t, loadDocument(t), func(c *api.Config) {
		fixed{}.all(c)
		c.Replays = behind
	})
	d := analyse(t, s.url, "")
	d.shows("#views", "What if")
	d.tabTo("#views [data-view=what-if]")
	d.Key("\r")
	d.Wait(`document.activeElement.id === "what-if-title"`)
	d.tabTo("[name='policy.id']")
	d.Key("first\r")
	<-behind.begun
	d.shows("#running-text", "Starting…")
	behind.progress <- 250
	d.shows("#running-text", "Replaying: 250 of about 1,000 events")
	d.Wait(`document.getElementById("running-bar").value === 0.25`)
	behind.progress <- 500
	d.shows("#running-text", "Replaying: 500 of about 1,000 events · about")
	d.Wait(`document.getElementById("run").getAttribute("aria-disabled") === "true"`)
	d.Accessible()
	d.Size(360, 740)
	d.Fits()
	behind.release <- nil
	<-behind.ended
	d.shows("#report-title", "Under")
	d.hides("#running")

	d.Key("\r")
	<-behind.begun
	behind.progress <- 100
	d.shows("#running-text", "Replaying: 100")
	d.shows("#report-title", "Under")

	other := analyse(t, s.url, "#view=what-if")
	other.Allow("503")
	other.Type("[name='policy.id']", "second")
	other.press("#policy", "Try it out")
	other.shows("#running-text", "Another policy is being tried out at the moment.")

	d.tabTo("#cancel")
	d.Key("\r")
	if err := <-behind.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	d.hides("#running")
	d.Wait(`document.activeElement.id === "run"`)
	d.shows("#report-title", "Under")

	<-behind.begun
	behind.release <- domain.ErrUnavailable
	<-behind.ended
	other.shows("#running-text", "Trying again…")
	<-behind.begun
	behind.progress <- 900
	other.shows("#running-text", "Replaying: 900")
	behind.release <- domain.ErrOrderPoints
	<-behind.ended
	other.shows("#policy .fault-summary", "points")
	other.hides("#running")
}

// An answer that breaks off is said, and not taken for one.
func TestAWhatIfThatBreaksOffIsNoResult(t *testing.T) {
	s := startStack(t, loadDocument(t))
	s.do(t, order("o-1", `100`, "ann"))
	broken := false
	proxy := between(t, s.site, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/what-if" {
			return false
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		fmt.Fprintln(w, `{"progress": {"doing": "replaying", "done": 1, "total": 0}}`)
		if broken {
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		broken = true
		return true
	})
	d := analyse(t, proxy.URL, "#view=what-if")
	d.Allow("ERR_INCOMPLETE_CHUNKED_ENCODING")
	d.Type("[name='policy.id']", "double")
	d.press("#policy", "Try it out")
	d.shows("#policy .fault-summary", "The answer broke off before it was complete.")
	d.press("#policy", "Try it out")
	d.shows("#policy .fault-summary", "The connection broke off")
	d.hides("#report-title")
}
