package projections_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/domain/season"
	"loyalty/eventstore/storetest"
	"loyalty/projections"
	"loyalty/readmodels/leaderboard"
	"loyalty/readmodels/leaderboard/leaderboardtest"
	"loyalty/readmodels/leaderboard/memory"
	"loyalty/readmodels/ledger"
	"loyalty/readmodels/ledger/postgres"
	"loyalty/readmodels/ledger/postgres/postgrestest"
)

// seasonal is a random history over some months, and what each season makes of it.
type seasonal struct {
	random  *rand.Rand
	seasons []season.Season
	proxies map[string]domain.Proxies
	models  map[string]*story
}

func (s *seasonal) next(n int) (events []domain.Event) {
	for range n {
		customer := domain.CustomerID(fmt.Sprintf("c-%02d", s.random.IntN(people)))
		adjusted := storetest.Adjusted(customer, domain.Points(s.random.IntN(9)-3))
		adjusted.OccurredAt = time.Date(2026, 9, 20, 0, s.random.IntN(60*24*120), 0, 0, time.UTC)
		event, retires := domain.Event(adjusted), s.random.IntN(40) == 0
		if retires {
			event = forgotten(customer)
		}
		for _, each := range s.seasons {
			change := leaderboard.Change{Key: s.proxies[each.ID].Key(customer), Minute: leaderboard.Minute(adjusted.OccurredAt), Retires: retires}
			if !adjusted.OccurredAt.Before(each.From) && adjusted.OccurredAt.Before(each.Until) {
				change.Points = adjusted.Points
			}
			if err := s.models[each.ID].model.Apply(change); err != nil {
				panic(err) // by so few points
			}
		}
		events = append(events, event)
	}
	return events
}

// TestASeasonGivesTheSameLiveAndDefinedAfterwards follows the log into leaderboards of seasons from the beginning, in memory and in
// Redis, and defines the same seasons again once it is all over, from either ledger.
func TestASeasonGivesTheSameLiveAndDefinedAfterwards(t *testing.T) {
	calendar, err := season.ParseCalendar("2026-10,2026-11,2026-Q4,2026,sale=2026-11-27T18:00Z/2026-12-01")
	if err != nil {
		t.Fatal(err)
	}
	s := seasonal{rand.New(rand.NewPCG(11, 26)), calendar.At(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)), map[string]domain.Proxies{}, map[string]*story{}}
	store, inFile, proxies := storetest.Open(t), openLedger(t), testProxies(t)
	inPostgres, main := openPostgres(t, postgrestest.Start(t).URL()), openBoard(t)
	run(t, projections.Ledger{Writer: inFile, Proxies: proxies}, store, projections.Options{})
	run(t, projections.Ledger{Writer: inPostgres, Proxies: proxies}, store, projections.Options{})
	live := map[string][]leaderboard.Reader{}
	for _, each := range s.seasons {
		s.proxies[each.ID] = proxies.ForSeason(each.ID)
		s.models[each.ID] = &story{model: leaderboardtest.NewModel()}
		inMemory, inRedis := memory.New(), main.Season(each)
		live[each.ID] = []leaderboard.Reader{inMemory, inRedis}
		run(t, projections.Leaderboard{Writer: inMemory, Season: each, Accounts: unwritten{}, Proxies: s.proxies[each.ID]}, store, projections.Options{})
		run(t, projections.Leaderboard{Writer: inRedis, Season: each, Accounts: unwritten{}, Proxies: s.proxies[each.ID]}, store, projections.Options{BatchSize: 7})
	}
	var last domain.Position
	for range 5 {
		last = happen(t, store, s.next(150)...)
	}
	if err := errors.Join(inFile.Wait(bounded(t), last), inPostgres.Wait(bounded(t), last)); err != nil {
		t.Fatal(err)
	}
	ranked := 0
	for _, each := range s.seasons {
		boards := live[each.ID]
		for _, l := range []ledger.Seasons{inFile, inPostgres} {
			afterwards := memory.New()
			run(t, projections.Leaderboard{
				Writer: afterwards, Season: each, Accounts: ledger.Season{Ledger: l, From: each.From, Until: each.Until}, Proxies: s.proxies[each.ID],
			}, store, projections.Options{})
			boards = append(boards, afterwards)
		}
		for i, board := range boards {
			if err := board.Wait(bounded(t), last); err != nil {
				t.Fatalf("season %s, board %d: %v", each, i, err)
			}
			s.models[each.ID].agrees(t, board, s.proxies[each.ID])
		}
		ranked += len(s.models[each.ID].model.Ranking())
	}
	if ranked < 100 {
		t.Errorf("only %d are ranked in all seasons, which tests little", ranked)
	}
}

func openPostgres(t testing.TB, address string) *postgres.Ledger {
	t.Helper()
	l, err := postgres.Open(t.Context(), address, nil)
	if err == nil {
		err = l.Migrate(t.Context(), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}
