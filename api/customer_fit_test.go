package api_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"loyalty/api"
	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// vast is a leaderboard of 50 million customers, computed and not kept: the first has most points that there can be, each of the others
// two less than the one above. Every name is of the longest words. Whoever asks has the rank before last but two.
type vast struct{ longest domain.ProxyKey }

const vastCustomers, vastRank = 50_000_000, 50_000_000 - 2

func (v vast) row(rank int64, asker domain.ProxyKey) leaderboard.Row {
	key := v.longest
	key[2], key[3], key[9] = byte(rank>>16), byte(rank>>8), byte(rank)
	if rank == vastRank {
		key = asker
	}
	return leaderboard.Row{Rank: rank, Key: key, Points: domain.MaxRanked - 2*domain.Points(rank-1)}
}

func (v vast) Dashboard(_ context.Context, key domain.ProxyKey, top, around int, d *leaderboard.Dashboard) error {
	*d = leaderboard.Dashboard{Ranked: true, You: v.row(vastRank, key), Customers: vastCustomers}
	d.State = leaderboard.State{Position: domain.Position{Commit: 1, Prepare: 1}, AsOf: time.Now()}
	for rank := range int64(top) {
		d.Top = append(d.Top, v.row(rank+1, key))
	}
	for rank := vastRank - int64(around); rank <= min(vastRank+int64(around), vastCustomers); rank++ {
		d.Around = append(d.Around, v.row(rank, key))
	}
	return nil
}

func (v vast) Standing(context.Context, domain.ProxyKey) (leaderboard.Standing, bool, domain.Position, error) {
	return leaderboard.Standing{}, false, domain.Position{Commit: 1, Prepare: 1}, nil
}

func (v vast) Wait(ctx context.Context, _ domain.Position) error {
	<-ctx.Done()
	return domain.ErrNotCaughtUp
}

// longestName is a key whose name has as many characters as any.
func longestName() (longest domain.ProxyKey) {
	for _, at := range []int{0, 1} {
		for word := range 256 {
			key := longest
			key[at] = byte(word)
			if len(key.Name()) > len(longest.Name()) {
				longest = key
			}
		}
	}
	return longest
}

// Given 50 million customers with the longest names, the largest numbers, and one of them who looks
// Then everything fits a phone, at 320 px even, and a desktop, in light and in dark; nothing is cut off or wider than its place.
func TestTheLargestBoardFitsASmallPhone(t *testing.T) {
	longest := longestName()
	c := config(t, new(lockedBuffer))
	id := ""
	for i := 0; id == ""; i++ {
		if candidate := fmt.Sprint("c-", i); len(c.Proxies.Key(domain.CustomerID(candidate)).Name()) == len(longest.Name()) {
			id = candidate
		}
	}
	s := serve(t, loadDocument(t), func(c *api.Config) { c.Leaderboard = vast{longest} })
	tab := visit(t, s, customer(id), "/")
	tab.Wait(live)
	for selector, want := range map[string]string{
		".own-rank .figure": "49,999,998", ".own-points .figure": "34,217,733", ".next": "3 points to rank 49,999,997",
		"tbody tr .points": "134,217,727", "tr.gap": "… 49,999,985 customers in between …",
	} {
		if got := evaluate[string](tab, shown(selector)); got != want {
			t.Errorf("%s says %q, want %q", selector, got, want)
		}
	}
	for _, dark := range []bool{false, true} {
		tab.Dark(dark)
		for _, width := range []int64{320, 360, 540, 768, 1280} {
			tab.Size(width, 800)
			tab.Fits()
			if cut := evaluate[[]string](tab, cutOff); len(cut) > 0 {
				t.Errorf("at %d px, these are cut off: %q", width, cut)
			}
		}
		accessible(tab)
	}
}

// cutOff are the elements on the page whose text is wider than they are, or that stick out of the card they are in.
const cutOff = `[...` + inside + `.querySelectorAll(".card, .card *:not(.hidden):not(.hidden *):not(input)")].filter((e) => {
	const box = e.getBoundingClientRect(), card = e.closest(".card").getBoundingClientRect();
	return box.width > 0 && (e.scrollWidth > Math.ceil(e.clientWidth) && e.clientWidth > 0 || box.right > card.right + 0.5 || box.left < card.left - 0.5);
}).map((e) => e.className + ": " + e.innerText)`
