package dashboards

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"loyalty/api/request"
	"loyalty/domain"
	"loyalty/readmodels/leaderboard"
)

// rank and board are what a dashboard is to a reader, for encoding/json to write.
type rank struct {
	Rank      int64         `json:"rank"`
	ProxyName string        `json:"proxyName,omitempty"`
	Points    domain.Points `json:"points"`
	You       bool          `json:"you"`
}

type board struct {
	You       *rank           `json:"you"`
	Top       []rank          `json:"top"`
	Around    []rank          `json:"around"`
	Customers int64           `json:"customers"`
	Position  domain.Position `json:"position"`
	AsOf      *time.Time      `json:"asOf"`
}

func boardOf(d leaderboard.Dashboard, key domain.ProxyKey, names bool) board {
	of := func(r leaderboard.Row) rank {
		named := rank{Rank: r.Rank, ProxyName: r.Key.Name(), Points: r.Points, You: r.Key == key}
		if r.Key == (domain.ProxyKey{}) {
			named.ProxyName = "Forgotten"
		}
		if !names {
			named.ProxyName = ""
		}
		return named
	}
	all := func(rows []leaderboard.Row) []rank {
		ranks := make([]rank, len(rows))
		for i, r := range rows {
			ranks[i] = of(r)
		}
		return ranks
	}
	b := board{Top: all(d.Top), Around: all(d.Around), Customers: d.Customers, Position: d.Position}
	if d.Ranked {
		you := of(d.You)
		b.You = &you
	}
	if asOf := d.AsOf.UTC(); !asOf.IsZero() {
		b.AsOf = &asOf
	}
	return b
}

func drawDashboard(t *rapid.T) (leaderboard.Dashboard, domain.ProxyKey) {
	key := rapid.Custom(func(t *rapid.T) domain.ProxyKey {
		return domain.ProxyKey(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key"))
	})
	you := key.Draw(t, "you")
	row := rapid.Custom(func(t *rapid.T) leaderboard.Row {
		return leaderboard.Row{
			Rank: rapid.Int64Min(1).Draw(t, "rank"), Key: rapid.OneOf(key, rapid.Just(you), rapid.Just(domain.ProxyKey{})).Draw(t, "key"),
			Points: domain.Points(rapid.Int64().Draw(t, "points")),
		}
	})
	var d leaderboard.Dashboard
	d.Ranked = rapid.Bool().Draw(t, "ranked")
	d.You = row.Draw(t, "row")
	d.Top, d.Around = rapid.SliceOfN(row, 0, 12).Draw(t, "top"), rapid.SliceOfN(row, 0, 5).Draw(t, "around")
	d.Customers = rapid.Int64Min(0).Draw(t, "customers")
	d.Position.Commit = uint64(rapid.Int64Min(0).Draw(t, "commit"))
	d.Position.Prepare = rapid.SampledFrom([]uint64{d.Position.Commit, 7}).Draw(t, "prepare")
	if rapid.Bool().Draw(t, "known") {
		zone := time.FixedZone("", rapid.IntRange(-14*3600, 14*3600).Draw(t, "zone"))
		d.AsOf = time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds")).In(zone)
	}
	return d, you
}

// Whatever a dashboard holds, what is written for it is JSON, and means what encoding/json would have written.
func TestADashboardIsWrittenAsEncodingJSONWould(t *testing.T) {
	var enc encoder
	rapid.Check(t, func(t *rapid.T) {
		d, key := drawDashboard(t)
		names := rapid.Bool().Draw(t, "names")
		got := enc.appendDashboard(nil, &d, key, names)
		want, err := json.Marshal(boardOf(d, key, names))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want)+"\n" {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
		var back board
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, boardOf(d, key, names)) {
			t.Fatalf("%s is read back as %+v", got, back)
		}
	})
}

// typicalDashboard is of the default size, for a customer in the middle of a million.
func typicalDashboard() (leaderboard.Dashboard, domain.ProxyKey) {
	var d leaderboard.Dashboard
	row := func(rank int64) leaderboard.Row {
		return leaderboard.Row{Rank: rank, Key: domain.ProxyKey{byte(rank), byte(rank >> 8), 3, 4, 5}, Points: domain.Points(2_000_000 - rank)}
	}
	for i := range int64(request.DefaultTop) {
		d.Top = append(d.Top, row(i+1))
	}
	for i := range int64(2*request.DefaultAround + 1) {
		d.Around = append(d.Around, row(500_000+i))
	}
	d.Ranked, d.You, d.Customers = true, d.Around[request.DefaultAround], 1_000_000
	d.Position = domain.Position{Commit: 123_456_789, Prepare: 123_456_789}
	d.AsOf = time.Date(2026, 11, 22, 9, 30, 0, 123456789, time.UTC)
	return d, d.You.Key
}

func TestWritingADashboardAllocatesNothing(t *testing.T) {
	d, key := typicalDashboard()
	var enc encoder
	buffer := enc.appendDashboard(nil, &d, key, true)
	if n := testing.AllocsPerRun(100, func() { buffer = enc.appendDashboard(buffer[:0], &d, key, true) }); n != 0 {
		t.Errorf("%v allocations for each dashboard", n)
	}
}

func BenchmarkAppendDashboard(b *testing.B) {
	d, key := typicalDashboard()
	var enc encoder
	buffer := enc.appendDashboard(nil, &d, key, true)
	b.ReportAllocs()
	b.SetBytes(int64(len(buffer)))
	for b.Loop() {
		buffer = enc.appendDashboard(buffer[:0], &d, key, true)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "dashboards/s")
}

func BenchmarkEncodingJSONDashboard(b *testing.B) {
	d, key := typicalDashboard()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := json.Marshal(boardOf(d, key, true)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "dashboards/s")
}
