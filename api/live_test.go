package api_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"loyalty/api"
	"loyalty/api/auth"
	"loyalty/domain"
	"loyalty/domain/season"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/memory"
)

// runLive asks for live pages in every way that has an answer. The server's clock is an hour ahead of the tokens' issuer, so that
// they expire at once and the streams end.
func runLive(t *testing.T, doc *document) {
	later := func() time.Time { return time.Now().Add(time.Hour + 2*auth.ClockLeeway) }
	live := exchange{method: "GET", path: "/loyalty/ann/live", as: ann, status: 200}
	s := serve(t, doc, func(c *api.Config) { fixed{}.all(c); c.Now = later })
	for _, as := range []auth.Claims{ann, support} {
		x := live
		x.as, x.path = as, "/loyalty/ann/live?top=20&around=5"
		if got := s.do(t, x); !strings.Contains(string(got.body), "event: dashboard\nid: 0\ndata: {\"you\":null,") ||
			!strings.HasSuffix(string(got.body), "event: expired\ndata: {}\n\n") {
			t.Errorf("%s is sent %s", as.Role, got.body)
		}
	}
	for _, x := range deniedCallers(t, live) {
		t.Run(x.name, func(t *testing.T) { s.do(t, x) })
	}
	fails := func(path string, as auth.Claims, status int, code string) {
		x := live
		x.path, x.as, x.status, x.code = path, as, status, code
		t.Run(code+" "+path[:min(len(path), 40)], func(t *testing.T) { s.do(t, x) })
	}
	fails("/loyalty/bob/live", ann, 403, "forbidden")
	fails("/loyalty/ann/live", till, 403, "forbidden")
	fails("/loyalty/ann/live?top=0", ann, 400, "top_out_of_range")
	fails("/loyalty/ann/live?around=51", ann, 400, "around_out_of_range")
	fails("/loyalty/ann/live?top=0&around=x", ann, 400, "invalid_input")
	fails("/loyalty/ann/live?a=%zz", ann, 400, "query_malformed")
	ofNone := serve(t, doc, func(c *api.Config) { fixed{}.all(c); c.Seasons = nil })
	x := live
	x.path, x.status, x.code, x.field = "/loyalty/ann/live?season=2026", 400, "season_unknown", "season"
	ofNone.do(t, x)
	fails("/loyalty/"+strings.Repeat("a", 65)+"/live", support, 400, "id_too_long")
	fails("/loyalty/a.b/live", support, 400, "id_malformed")

	s = serve(t, doc, func(c *api.Config) {
		fixed{}.all(c)
		c.Now, c.Limits.ReadRates = (&clock{now: later()}).Now, map[string]float64{"customer": 0.25}
	})
	s.do(t, live)
	fails("/loyalty/ann/live", ann, 429, "rate_limited")
	s = serve(t, doc, fixed{errors.New("a fault")}.all)
	fails("/loyalty/ann/live", ann, 500, "internal")
	var token string
	s, token = keylessSite(t, doc)
	keyless := live
	keyless.status, keyless.code, keyless.header = 503, "unavailable", http.Header{"Authorization": {"Bearer " + token}}
	s.do(t, keyless)
	s = serve(t, doc, func(c *api.Config) {
		fixed{}.all(c)
		c.Limits.LiveStreams, c.Limits.LiveStreamsOfSubject = 2, 1
	})
	page, another := openPage(t, s, ann, "/loyalty/ann/live", ""), openPage(t, s, support, "/loyalty/ann/live", "")
	page.next(t)
	another.next(t)
	s.comesBack(t, refused(live, 429, "too_much_at_once"), "30")
	third := live
	third.as = named(support, "staff-9")
	s.comesBack(t, refused(third, 503, "overloaded"), "30")
	page.close()
	another.close()
	s.waitForMetric(t, "loyalty_live_pages_in_flight 0")
	s.waitForMetric(t, "loyalty_live_pages_refused_total 2")
}

// event is a server-sent event.
type event struct{ name, id, data string }

// livePage reads the events of one connection.
type livePage struct {
	close context.CancelFunc
	lines *bufio.Scanner
}

func openPage(t testing.TB, s *site, as auth.Claims, path, lastEventID string) *livePage {
	t.Helper()
	// A test that waits in vain is to fail, not to hang.
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, "GET", s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+mint(t, as))
	if lastEventID != "" {
		request.Header.Set("Last-Event-ID", lastEventID)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("answered with %s, %s", response.Status, response.Header.Get("Content-Type"))
	}
	return &livePage{cancel, bufio.NewScanner(response.Body)}
}

// read is the next event, or false at the end of the stream.
func (p *livePage) read() (e event, err error) {
	for p.lines.Scan() {
		field, value, _ := strings.Cut(p.lines.Text(), ": ")
		switch field {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			e.data = value
		case "":
			if e.name != "" {
				return e, nil
			}
		}
	}
	if err := p.lines.Err(); err != nil {
		return event{}, err
	}
	return event{}, io.EOF
}

func (p *livePage) next(t testing.TB) event {
	t.Helper()
	e, err := p.read()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// boardSite is a site on a leaderboard in memory, which the test changes.
type boardSite struct {
	*site
	server  *api.Server
	board   *memory.Board
	proxies domain.Proxies
	at      uint64
}

// startBoard loads zoe with 40 points, ann with 30, bob with 20 and cleo with 10, or nobody where it is told so.
func startBoard(t testing.TB, loaded bool, change func(*api.Config, *http.Server)) *boardSite {
	t.Helper()
	s := &boardSite{site: &site{t: t, doc: loadDocument(t), log: new(lockedBuffer)}, board: memory.New()}
	c := config(t, s.log)
	c.Leaderboard, s.proxies, s.metrics = s.board, c.Proxies, c.Metrics
	public := httptest.NewUnstartedServer(nil)
	if change != nil {
		change(&c, public.Config)
	}
	var err error
	if s.server, err = api.New(c); err != nil {
		t.Fatal(err)
	}
	public.Config.Handler = s.server
	public.Start()
	admin := httptest.NewServer(s.server.Admin())
	t.Cleanup(func() { s.server.Stop(); public.Close(); admin.Close() })
	s.url, s.admin = public.URL, admin.URL
	if loaded {
		s.load(t)
	}
	return s
}

func (s *boardSite) load(t testing.TB) {
	t.Helper()
	s.at = 1
	err := s.board.Load(t.Context(), func(yield func(leaderboard.Standing) error) (leaderboard.Snapshot, error) {
		for i, id := range []domain.CustomerID{"cleo", "bob", "ann", "zoe"} {
			if err := yield(leaderboard.Standing{Key: s.proxies.Key(id), Points: domain.Points(10 * (i + 1)), Minute: 1}); err != nil {
				return leaderboard.Snapshot{}, err
			}
		}
		return leaderboard.Snapshot{Checkpoint: domain.CheckpointAt(domain.Position{Commit: 1, Prepare: 1}), AsOf: time.Now()}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// give gives a customer points, and returns the position at which they have them.
func (s *boardSite) give(t testing.TB, id domain.CustomerID, points domain.Points) string {
	t.Helper()
	from := domain.Position{Commit: s.at, Prepare: s.at}
	s.at++
	to := domain.Position{Commit: s.at, Prepare: s.at}
	err := s.board.Apply(t.Context(), leaderboard.Batch{From: domain.CheckpointAt(from), To: domain.CheckpointAt(to), AsOf: time.Now(), Changes: []leaderboard.Change{{Key: s.proxies.Key(id), Points: points, Minute: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	return to.String()
}

// isNow checks that an event is the dashboard as it is read by itself.
func (s *boardSite) isNow(t testing.TB, e event, path, position string) {
	t.Helper()
	want := s.do(t, exchange{method: "GET", path: strings.Replace(path, "/live", "", 1), as: ann, status: 200})
	if e.name != "dashboard" || e.id != position || e.data+"\n" != string(want.body) {
		t.Errorf("got %+v\nwant %s at %s", e, want.body, position)
	}
}

// Given a page with the best two and ann's next neighbours
// When others are given points
// Then the page is sent the whole dashboard if any row in it changes, and nothing otherwise.
func TestALivePageIsSentWhatItsReaderSeesChange(t *testing.T) {
	const path = "/loyalty/ann/live?top=2&around=1"
	s := startBoard(t, true, nil)
	page := openPage(t, s.site, ann, path, "")
	s.isNow(t, page.next(t), path, "1")
	s.isNow(t, func() event { s.give(t, "bob", 15); return page.next(t) }(), path, "2")
	// cleo stays out of sight, and a newcomer too.
	s.give(t, "cleo", 1)
	s.give(t, "dan", 1)
	overtaking := s.give(t, "ann", 100)
	s.isNow(t, page.next(t), path, overtaking)
}

// Given a page
// When the leaderboard changes a thousand times
// Then the page is sent at most four events a second, and the last of them has it all.
func TestChangesInQuickSuccessionReachAPageTogether(t *testing.T) {
	const path = "/loyalty/ann/live"
	s := startBoard(t, true, nil)
	page := openPage(t, s.site, ann, path, "")
	page.next(t)
	began := time.Now()
	var last string
	for range 1000 {
		last = s.give(t, "ann", 1)
	}
	events := 0
	for e := (event{}); e.id != last; events++ {
		e = page.next(t)
	}
	if most := 2 + int(time.Since(began)/(250*time.Millisecond)); events > most {
		t.Errorf("%d events in %s, at most %d", events, time.Since(began), most)
	}
}

// changingSeasons has one season until it is told that there is none any more.
type changingSeasons struct {
	oneSeason
	gone atomic.Bool
}

// Season is the one, by its id, until it is gone.
func (s *changingSeasons) Season(id string) (season.Season, leaderboard.Reader, domain.Proxies, bool) {
	of, board, proxies, known := s.oneSeason.Season(id)
	return of, board, proxies, known && !s.gone.Load()
}

// Given pages of ann's dashboard, of all time and of a season in which she has nothing yet
// When somebody gets points in one of the leaderboards
// Then the pages of that one are told, under its names.
func TestALivePageOfASeasonIsOfThatSeason(t *testing.T) {
	const path = "/loyalty/ann/live?season=autumn"
	autumn := &changingSeasons{oneSeason: oneSeason{season.Season{ID: "autumn", From: time.Unix(0, 0).UTC(), Until: time.Unix(1<<32, 0).UTC()}, memory.New(), domain.Proxies{}}}
	s := startBoard(t, true, func(c *api.Config, _ *http.Server) {
		autumn.proxies = c.Proxies.ForSeason("autumn")
		c.Seasons = autumn
	})
	ofSeason := &boardSite{site: s.site, board: autumn.board, proxies: autumn.proxies}
	ofSeason.load(t)
	all, pageOf := openPage(t, s.site, ann, "/loyalty/ann/live", ""), openPage(t, s.site, ann, path, "")
	s.isNow(t, all.next(t), "/loyalty/ann/live", "1")
	ofSeason.isNow(t, pageOf.next(t), path, "1")
	ofSeason.isNow(t, func() event { ofSeason.give(t, "bob", 15); return pageOf.next(t) }(), path, "2")
	s.isNow(t, func() event { s.give(t, "ann", 1); return all.next(t) }(), "/loyalty/ann/live", "2")
	autumn.gone.Store(true)
	ofSeason.give(t, "bob", 1)
	if e, err := pageOf.read(); err != io.EOF {
		t.Errorf("once there is no such season any more, its page gets %+v, %v", e, err)
	}
	s.give(t, "ann", 1)
	s.isNow(t, all.next(t), "/loyalty/ann/live", "3")
}

func TestAReaderWhoComesBackIsSentOnlyWhatIsNew(t *testing.T) {
	const path = "/loyalty/ann/live"
	s := startBoard(t, true, nil)
	if e := openPage(t, s.site, ann, path, "1").next(t); e.name != "age" || !strings.HasPrefix(e.data, `{"customers":4,"position":"1","asOf":"`) {
		t.Errorf("with nothing new: %+v", e)
	}
	page := openPage(t, s.site, ann, path, "1")
	page.next(t)
	now := s.give(t, "bob", 15)
	s.isNow(t, page.next(t), path, now)
	for _, before := range []string{"1", "99", "not a position"} {
		s.isNow(t, openPage(t, s.site, ann, path, before).next(t), path, now)
	}
}

func TestAPageWaitsForALeaderboardThatIsNotThereYet(t *testing.T) {
	s := startBoard(t, false, nil)
	page := openPage(t, s.site, ann, "/loyalty/ann/live", "")
	if e := page.next(t); e.name != "waiting" {
		t.Fatalf("got %+v", e)
	}
	s.load(t)
	s.isNow(t, page.next(t), "/loyalty/ann/live", "1")
}

func TestAStoppingServerEndsItsPages(t *testing.T) {
	s := startBoard(t, true, nil)
	page := openPage(t, s.site, ann, "/loyalty/ann/live", "")
	page.next(t)
	s.server.Stop()
	if e, err := page.read(); err != io.EOF {
		t.Errorf("got %+v, %v", e, err)
	}
	s.waitForMetric(t, "loyalty_live_pages_in_flight 0")
}

func TestNothingIsLeftOfReadersWhoWentAway(t *testing.T) {
	s := startBoard(t, true, nil)
	for range 3 {
		var open []*livePage
		for range 20 {
			page := openPage(t, s.site, ann, "/loyalty/ann/live", "")
			page.next(t)
			open = append(open, page)
		}
		s.waitForMetric(t, "loyalty_live_pages_in_flight 20")
		for _, page := range open {
			page.close()
		}
		s.waitForMetric(t, "loyalty_live_pages_in_flight 0")
	}
}

// Given an HTTP server that gives each request and each answer a tenth of a second
// When a page was open for longer
// Then it goes on.
func TestAPageOutlivesTheTimeoutsOfOtherRequests(t *testing.T) {
	s := startBoard(t, true, func(_ *api.Config, server *http.Server) {
		server.ReadTimeout, server.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	})
	page := openPage(t, s.site, ann, "/loyalty/ann/live", "")
	page.next(t)
	opened := time.Now()
	eventually(t, "longer than the timeouts", func() bool { return time.Since(opened) > 300*time.Millisecond })
	now := s.give(t, "bob", 15)
	s.isNow(t, page.next(t), "/loyalty/ann/live", now)
}

// Given a page whose token is about to expire
// When it does
// Then the page is told so, and its stream ends.
func TestAPageEndsWithItsToken(t *testing.T) {
	clock := &clock{now: time.Now().Add(time.Hour + auth.ClockLeeway - 100*time.Millisecond)}
	s := startBoard(t, true, func(c *api.Config, _ *http.Server) { c.Now = clock.Now })
	page := openPage(t, s.site, ann, "/loyalty/ann/live", "")
	s.isNow(t, page.next(t), "/loyalty/ann/live", "1")
	if e := page.next(t); e != (event{name: "expired", data: "{}"}) {
		t.Errorf("got %+v", e)
	}
	if e, err := page.read(); err != io.EOF {
		t.Errorf("then %+v, %v", e, err)
	}
	s.waitForMetric(t, "loyalty_live_pages_in_flight 0")
}

// Given a token that asks for 20,000 live pages
// Then it has ten, of all leaderboards together, and everybody else has theirs.
func TestOneTokenHasTenLivePages(t *testing.T) {
	s := startBoard(t, true, func(c *api.Config, _ *http.Server) { c.Limits.LiveStreamsOfSubject = 0 })
	for range 10 {
		openPage(t, s.site, ann, "/loyalty/ann/live", "").next(t)
	}
	token, refusals := mint(t, ann), 0
	for range 20_000 - 10 {
		r := httptest.NewRequest(http.MethodGet, "/loyalty/ann/live?top=7", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		if s.server.ServeHTTP(w, r); w.Code == http.StatusTooManyRequests {
			refusals++
		}
	}
	if refusals != 20_000-10 {
		t.Errorf("%d were refused", refusals)
	}
	openPage(t, s.site, customer("bob"), "/loyalty/bob/live", "").next(t)
	s.waitForMetric(t, "loyalty_live_pages_in_flight 11")
}

// hangingBoard is a leaderboard whose store hangs for who waits for a change, whatever their context says, until it is let go.
type hangingBoard struct {
	*memory.Board
	waiting, release chan struct{}
}

func (b hangingBoard) Wait(context.Context, domain.Position) error {
	b.waiting <- struct{}{}
	<-b.release
	return domain.ErrUnavailable
}

// Given a store that hangs
// When the last page of its leaderboard goes
// Then the others open, and operators are answered, while the watch of that leaderboard has not ended yet.
func TestTheLastPageToLeaveKeepsNobodyWaiting(t *testing.T) {
	board := hangingBoard{memory.New(), make(chan struct{}, 100), make(chan struct{})}
	s := startBoard(t, false, func(c *api.Config, _ *http.Server) { c.Leaderboard = board })
	s.board = board.Board
	s.load(t)
	for range 3 {
		page := openPage(t, s.site, ann, "/loyalty/ann/live", "")
		page.next(t)
		<-board.waiting
		page.close()
		s.waitForMetric(t, "loyalty_live_pages_in_flight 0")
	}
	close(board.release)
}
