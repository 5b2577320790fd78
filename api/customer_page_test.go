package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"loyalty/api"
	"loyalty/api/auth"
	"loyalty/api/browsertest"
	"loyalty/domain"
	"loyalty/domain/season"
	"loyalty/internal/problem"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/memory"
)

// inside is the shadow tree of the dashboard on the page, in JavaScript.
const inside = `document.querySelector("loyalty-dashboard").shadowRoot`

// shown is a JavaScript expression for the text of the first element there that a selector finds.
func shown(selector string) string {
	return fmt.Sprintf(`(%s.querySelector(%q)?.innerText ?? "").replace(/\s+/g, " ").trim()`, inside, selector)
}

// rows are the rows of the table, as they are read: rank, name and points, with a mark for one's own.
const rows = `[...` + inside + `.querySelectorAll("tbody tr")].map((tr) =>
	[...tr.children].map((cell) => cell.innerText.replace(/\s+/g, " ").trim()).join(" | "))`

// live is true once the page shows figures over a connection that stands.
var live = shown(".status") + ` === "Live"`

// visit opens a page of a site, signed in as somebody.
func visit(t *testing.T, s *site, as auth.Claims, path string) *browsertest.Tab {
	t.Helper()
	tab := browsertest.Open(t)
	tab.Cookie(s.url, "loyalty_session", mint(t, as))
	tab.Go(s.url + path)
	return tab
}

// accessible checks the page once its rows are where they belong.
func accessible(tab *browsertest.Tab) {
	tab.Wait(still)
	tab.Accessible()
}

// still is true when no row moves.
const still = `[...` + inside + `.querySelectorAll("tr")].every((tr) => tr.getAnimations().length === 0)`

// do runs JavaScript in the page.
func do(tab *browsertest.Tab, js string) { tab.Eval("(() => { "+js+" })()", nil) }

func evaluate[T any](tab *browsertest.Tab, js string) T {
	var value T
	tab.Eval(js, &value)
	return value
}

func (s *boardSite) name(id domain.CustomerID) string { return s.proxies.Key(id).Name() }

// crowd puts customers with 1 to n times ten points on the board, at once.
func (s *boardSite) crowd(t testing.TB, n int) {
	t.Helper()
	batch := leaderboard.Batch{From: domain.CheckpointAt(domain.Position{Commit: s.at, Prepare: s.at}), AsOf: time.Now()}
	s.at++
	batch.To = domain.CheckpointAt(domain.Position{Commit: s.at, Prepare: s.at})
	for i := range n {
		batch.Changes = append(batch.Changes, leaderboard.Change{Key: s.proxies.Key(domain.CustomerID(fmt.Sprintf("crowd-%d", i))), Points: domain.Points(1000 + 10*i), Minute: 2})
	}
	if err := s.board.Apply(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}

// Given a customer who looks at their dashboard
// When they are given points
// Then the page shows their new place without being loaded again, the rows glide there, and one sentence tells of it.
func TestACustomersRowMovesWhileTheyLook(t *testing.T) {
	s := startBoard(t, true, nil)
	tab := visit(t, s.site, ann, "/")
	tab.Wait(live)
	want := []string{"1 | " + s.name("zoe") + " | 40", "2 | You " + s.name("ann") + " | 30", "3 | " + s.name("bob") + " | 20", "4 | " + s.name("cleo") + " | 10"}
	if got := evaluate[[]string](tab, rows); !slices.Equal(got, want) {
		t.Errorf("the rows are %q, want %q", got, want)
	}
	for selector, want := range map[string]string{".own-rank .figure": "2", ".own-points .figure": "30", ".next": "11 points to rank 1"} {
		if got := evaluate[string](tab, shown(selector)); got != want {
			t.Errorf("%s says %q, want %q", selector, got, want)
		}
	}
	do(tab, `window.same = true; window.glided = []; window.elements = 0;
		const animate = Element.prototype.animate, create = document.createElement;
		Element.prototype.animate = function (frames, how) { if (frames.transform) window.glided.push(this.innerText); return animate.call(this, frames, how); };
		document.createElement = function (...of) { window.elements++; return create.apply(document, of); };`)

	s.give(t, "ann", 100)
	tab.Wait(shown(".own-rank .figure") + ` === "1"`)
	want = []string{"1 | You " + s.name("ann") + " | 130", "2 | " + s.name("zoe") + " | 40", want[2], want[3]}
	if got := evaluate[[]string](tab, rows); !slices.Equal(got, want) {
		t.Errorf("then the rows are %q, want %q", got, want)
	}
	if got := evaluate[string](tab, shown(".next")); got != "You are first, 90 points ahead" {
		t.Errorf("the first is told %q", got)
	}
	if !evaluate[bool](tab, "window.same === true") {
		t.Error("the page was loaded again")
	}
	if got := evaluate[int](tab, "window.glided.length"); got != 2 {
		t.Errorf("%d rows glided, want those that changed places", got)
	}
	tab.Wait(shown("[role=status]") + ` === "You went up 1 place, to rank 1 with 130 points."`)
	if got := evaluate[int](tab, "window.elements"); got != 0 {
		t.Errorf("%d elements were made to move rows that were there", got)
	}
}

// Given a page that is open
// When a hundred changes come
// Then it has as many elements as before, nothing that moves is left behind, and no more than a sentence in five seconds was told.
func TestAPageDoesNotGrow(t *testing.T) {
	s := startBoard(t, true, nil)
	tab := visit(t, s.site, ann, "/")
	tab.Wait(live)
	const count = `[` + inside + `.querySelectorAll("*").length, document.querySelectorAll("*").length]`
	before := evaluate[[]int](tab, count)
	do(tab, `window.said = []; new MutationObserver(() => window.said.push(`+shown("[role=status]")+`)).observe(
		`+inside+`.querySelector("[role=status]"), {childList: true, characterData: true, subtree: true});`)
	began := time.Now()
	for i := range 100 {
		s.give(t, []domain.CustomerID{"zoe", "ann", "bob"}[i%3], 25)
	}
	points := 30 + 33*25
	for range 12 {
		s.give(t, "ann", 10)
		points += 10
		tab.Wait(fmt.Sprintf(`%s.replace(",", "") === "%d"`, shown(".own-points .figure"), points))
	}
	if most := 1 + int(time.Since(began)/(5*time.Second)); evaluate[int](tab, "window.said.length") > most {
		t.Errorf("told %q, at most %d sentences in this time", evaluate[[]string](tab, "window.said"), most)
	}
	if after := evaluate[[]int](tab, count); !slices.Equal(before, after) {
		t.Errorf("there are %v elements, and were %v", after, before)
	}
	tab.Wait(still)
}

// Given a hundred customers
// When a customer chooses by the keyboard how many of the best to see
// Then the page shows as many, with a gap to their own neighbourhood and no row twice.
func TestACustomerChoosesHowManyOfTheBestToSee(t *testing.T) {
	s := startBoard(t, true, nil)
	s.crowd(t, 100)
	tab := visit(t, s.site, ann, "/")
	tab.Wait(live)
	const focused = inside + `.activeElement?.value`
	for range 20 {
		if evaluate[bool](tab, focused+` === "10"`) {
			break
		}
		tab.Key(kb.Tab)
	}
	for _, top := range []int{20, 50} {
		tab.Key(kb.ArrowRight)
		tab.Wait(fmt.Sprintf(`%s.querySelectorAll("tbody tr").length === %d`, inside, top+6))
		if got := evaluate[string](tab, focused); got != fmt.Sprint(top) {
			t.Errorf("the focus is at %s, want %d", got, top)
		}
		got := evaluate[[]string](tab, rows)
		if want := fmt.Sprintf("… %d customers in between …", 99-top); !strings.HasPrefix(got[top-1], fmt.Sprint(top, " | ")) || got[top] != want || !strings.HasPrefix(got[top+1], "100 | ") {
			t.Errorf("rows %q, %q and %q, want the gap %q", got[top-1], got[top], got[top+1], want)
		}
	}
	s.give(t, "ann", 1500)
	tab.Wait(shown(".own-rank .figure") + ` === "48"`)
	got := evaluate[[]string](tab, rows)
	if len(got) != 50 || !strings.HasPrefix(got[47], "48 | You "+s.name("ann")) {
		t.Errorf("among the best, there are %d rows, and the 48th is %q", len(got), got[47])
	}
	accessible(tab)
}

func TestACustomerWithoutPointsIsToldHowToEarnThem(t *testing.T) {
	s := startBoard(t, true, nil)
	tab := visit(t, s.site, customer("new"), "/")
	tab.Wait(live)
	if got := evaluate[string](tab, shown(".message")); !strings.HasPrefix(got, "No points yet") || !strings.Contains(got, "1 point for every £10") {
		t.Errorf("told %q", got)
	}
	if got := evaluate[[]string](tab, rows); len(got) != 4 {
		t.Errorf("the rows are %q", got)
	}
	accessible(tab)
	s.give(t, "new", 15)
	tab.Wait(shown(".own-rank .figure") + ` === "4"`)
	tab.Wait(shown("[role=status]") + ` === "You are on the leaderboard, at rank 4 with 15 points."`)
}

func TestTheOnlyCustomerIsFirst(t *testing.T) {
	s := startBoard(t, false, nil)
	tab := visit(t, s.site, ann, "/")
	tab.Wait(shown(".message") + `.startsWith("Points are being counted")`)
	accessible(tab)
	s.at = 1
	err := s.board.Load(t.Context(), func(func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
		return leaderboard.Snapshot{Checkpoint: domain.CheckpointAt(domain.Position{Commit: 1, Prepare: 1}), AsOf: time.Now()}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	tab.Wait(shown(".message") + `.startsWith("Be the first")`)
	accessible(tab)
	s.give(t, "ann", 13)
	tab.Wait(shown(".own-rank .figure") + ` === "1"`)
	for selector, want := range map[string]string{".own-rank .label:last-child": "of 1 customer", ".next": "You are first: nobody else has points yet"} {
		if got := evaluate[string](tab, shown(selector)); got != want {
			t.Errorf("%s says %q, want %q", selector, got, want)
		}
	}
	accessible(tab)
}

func TestNothingMovesForThoseWhoAskForLessMotion(t *testing.T) {
	s := startBoard(t, true, nil)
	tab := browsertest.Open(t)
	tab.ReducedMotion(true)
	tab.Cookie(s.url, "loyalty_session", mint(t, ann))
	tab.Go(s.url + "/")
	tab.Wait(live)
	do(tab, `window.moved = 0; Element.prototype.animate = () => { window.moved++; };`)
	s.give(t, "ann", 100)
	tab.Wait(shown(".own-rank .figure") + ` === "1"`)
	if got := evaluate[int](tab, "window.moved"); got != 0 {
		t.Errorf("%d rows moved", got)
	}
}

// Given a customer who has looked before
// When they were awarded points since, and look again
// Then the page says so once.
func TestACustomerIsToldWhatChangedSinceTheirLastVisit(t *testing.T) {
	s := startStack(t, loadDocument(t))
	order := func(id, who, amount string) {
		s.do(t, exchange{method: "POST", path: "/order/" + id, as: till, status: 201,
			body: `{"ItemIds": ["mug"], "customerId": "` + who + `", "paymentDetails": {"amount": "` + amount + `", "currency": "GBP", "method": "card"}}`})
	}
	order("o-1", "bob", "500.00")
	order("o-2", "ann", "100.00")
	tab := visit(t, s.site, ann, "/")
	tab.Wait(shown(".own-rank .figure") + ` === "2"`)
	tab.Wait(`localStorage.getItem("loyalty-seen") !== null`)
	if evaluate[bool](tab, `document.querySelector("[slot=news]") !== null`) {
		t.Error("at the first visit, there is news")
	}
	tab.Go("about:blank")
	order("o-3", "ann", "12345.00")
	tab.Go(s.url + "/")
	tab.Wait(`document.querySelector("[slot=news]") !== null`)
	if asked := evaluate[int](tab, `performance.getEntriesByType("resource").filter((e) => e.name.includes("/changes")).length`); asked != 0 {
		t.Errorf("the page asked %d questions about the past", asked)
	}
	if got, want := tab.Text("[slot=news]"), "Since your last visit Your rank went from 2 to 1. You have 1,235 points more."; strings.Join(strings.Fields(got), " ") != want {
		t.Errorf("told %q, want %q", got, want)
	}
	accessible(tab)
	tab.Wait(shown(".own-rank .figure") + ` === "1"`)
	tab.Go(s.url + "/")
	tab.Wait(live)
	if evaluate[bool](tab, `document.querySelector("[slot=news]") !== null`) {
		t.Error("the same is told again")
	}
}

// Everything that the page needs until it shows a dashboard is less than 100 KB over the wire, headers included.
func TestTheCustomersPageIsLight(t *testing.T) {
	s := startBoard(t, true, nil)
	tab := visit(t, s.site, ann, "/")
	tab.Wait(live)
	var loaded []struct {
		Name string
		Size int
	}
	tab.Eval(`[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")].map((e) => ({Name: new URL(e.name).pathname, Size: e.transferSize}))`, &loaded)
	total := 0
	for _, one := range loaded {
		t.Logf("%6d bytes %s", one.Size, one.Name)
		total += one.Size
	}
	t.Logf("%6d bytes in all", total)
	if !slices.ContainsFunc(loaded, func(one struct {
		Name string
		Size int
	}) bool {
		return one.Name == "/assets/loyalty-dashboard.js" && one.Size > 1000
	}) {
		t.Errorf("the element is not among %v", loaded)
	}
	if total > 100<<10 {
		t.Errorf("%d bytes, at most 100 KiB", total)
	}
}

// Given the figures of one customer
// When the page is for another
// Then nothing of the first is left to see.
func TestAnotherCustomersFiguresAreGoneAtOnce(t *testing.T) {
	s := startBoard(t, true, nil)
	tab := visit(t, s.site, ann, "/")
	tab.Wait(live)
	tab.Allow("403")
	do(tab, `window.problem = null; document.addEventListener("loyalty-problem", (e) => { window.problem = e.detail; });
		document.querySelector("loyalty-dashboard").customer = "bob";`)
	if got := evaluate[string](tab, inside+`.querySelector(".all").innerText`); strings.Contains(got, s.name("ann")) {
		t.Errorf("there is still %q", got)
	}
	tab.Wait(shown(".message") + `.startsWith("This can't be shown")`)
	var problem problem.Problem
	if err := json.Unmarshal([]byte(evaluate[string](tab, "JSON.stringify(window.problem)")), &problem); err != nil || problem.Status != http.StatusForbidden || problem.Code != "forbidden" {
		t.Errorf("the page was told %+v, %v", problem, err)
	}
	do(tab, `document.querySelector("loyalty-dashboard").customer = "ann";`)
	tab.Wait(live)
}

// Given a customer with points in a season and before it
// When they choose the season, and then all time again
// Then they see each leaderboard, live, and names in that of all time alone.
func TestACustomerChoosesASeason(t *testing.T) {
	autumn := oneSeason{season.Season{ID: "2026-11", From: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)}, memory.New(), domain.Proxies{}}
	s := startBoard(t, true, func(c *api.Config, _ *http.Server) {
		autumn.proxies = c.Proxies.ForSeason("2026-11")
		c.Seasons = &autumn
	})
	of := &boardSite{site: s.site, board: autumn.board, proxies: autumn.proxies}
	of.load(t)
	of.give(t, "ann", 100)
	tab := visit(t, s.site, ann, "/")
	tab.Wait(shown("tr.self") + fmt.Sprintf(` === "2 You %s 30"`, s.name("ann")))
	tab.Wait(`document.querySelector("#season").innerText.includes("November 2026")`)
	tab.Type("#season select", "2026-11")
	tab.Wait(shown("tr.self") + ` === "1 You 130"`)
	of.give(t, "ann", 5)
	tab.Wait(shown("tr.self") + ` === "1 You 135"`)
	for _, width := range []int64{360, 1280} {
		tab.Size(width, 800)
		tab.Fits()
	}
	accessible(tab)
	tab.Type("#season select", "")
	tab.Wait(shown("tr.self") + fmt.Sprintf(` === "2 You %s 30"`, s.name("ann")))
}
