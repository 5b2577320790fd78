package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"loyalty/api"
	"loyalty/domain"
	"loyalty/domain/season"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/memory"
)

// oneSeason is all the seasons of a stack.
type oneSeason struct {
	of      season.Season
	board   *memory.Board
	proxies domain.Proxies
}

// Season is the one, by its id.
func (s oneSeason) Season(id string) (season.Season, leaderboard.Reader, domain.Proxies, bool) {
	return s.of, s.board, s.proxies, id == s.of.ID
}

// Seasons lists it.
func (s oneSeason) Seasons() []season.Season { return []season.Season{s.of} }

type ofSeason struct {
	dashboard
	Season *bounds
}

type bounds struct {
	ID          string
	From, Until time.Time
}

// runSeasons looks at a season that everything falls into, so that it is like all time but for the names.
func runSeasons(t *testing.T, doc *document) {
	s := startStack(t, doc)
	for customer, pounds := range map[string]string{"ann": "129.99", "bob": "50"} {
		s.do(t, exchange{as: till, method: "POST", path: "/order/" + customer + "-1", body: orderOf(pounds, customer), status: 201})
	}
	ask := func(path string) answer {
		t.Helper()
		return s.do(t, exchange{as: ann, method: "GET", path: path, header: after(s.end()), status: 200})
	}
	all, ever := decode[ofSeason](t, ask("/loyalty/ann")), decode[ofSeason](t, ask("/loyalty/ann?season=ever"))
	if all.Season != nil || ever.Season == nil || ever.Season.ID != "ever" || ever.Season.From.Unix() != 0 || ever.Season.Until.Unix() != 1<<32 {
		t.Errorf("the seasons are %+v and %+v", all.Season, ever.Season)
	}
	if ever.You == nil || ever.You.Points != 13 || ever.You.Rank != 1 || len(ever.Top) != 2 || ever.Customers != 2 {
		t.Fatalf("ann sees %+v", ever)
	}
	for i := range all.Top {
		if all.Top[i].ProxyName == ever.Top[i].ProxyName {
			t.Errorf("%s is the name in both", all.Top[i].ProxyName)
		}
		all.Top[i].ProxyName, ever.Top[i].ProxyName = "", ""
	}
	if diff := cmp.Diff(all.Top, ever.Top); diff != "" {
		t.Errorf("they differ in more than names (-all time +season):\n%s", diff)
	}
	small := decode[ofSeason](t, ask("/loyalty/ann?season=ever&top=1&around=0"))
	if len(small.Top) != 1 || len(small.Around) != 1 {
		t.Errorf("of one row each, ann sees %+v", small)
	}
	listed := decode[struct{ Seasons []bounds }](t, ask("/seasons"))
	if len(listed.Seasons) != 1 || listed.Seasons[0].ID != "ever" {
		t.Errorf("the seasons are %+v", listed)
	}
	unknown := s.do(t, exchange{as: ann, method: "GET", path: "/loyalty/ann?season=2026-13", status: 400, code: "season_unknown", field: "season"})
	if !strings.Contains(string(unknown.body), "there are those of ever") {
		t.Errorf("of an unknown season it is said %s", unknown.body)
	}
}

func TestWithoutSeasonsThereAreNone(t *testing.T) {
	s := serve(t, loadDocument(t), func(c *api.Config) { c.Leaderboard = fixed{} })
	s.do(t, exchange{as: ann, method: "GET", path: "/loyalty/ann?season=2026", status: 400, code: "season_unknown", field: "season"})
}

// invalidSeasons is what of seasons nobody is told.
func invalidSeasons() []exchange {
	of := func(as string) exchange { return exchange{as: ann, method: "GET", path: as} }
	past := of("/loyalty/ann?season=ever&asOf=2026-10-01")
	past.as = support
	return []exchange{
		bad(of("/loyalty/ann?season=never"), "an unknown season", "", "season_unknown", "season"),
		bad(of("/loyalty/ann?season="), "no season", "", "season_unknown", "season"),
		bad(past, "a season of the past", "", "season_as_of", "season"),
		bad(of("/seasons?top=%zz"), "a malformed query", "", "query_malformed", "query"),
		{name: "another's season", as: ann, method: "GET", path: "/loyalty/bob?season=ever", status: 403, code: "forbidden"},
	}
}
