package export_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"loyalty/analytics/export"
	"loyalty/domain"
)

// threeDays has an order on each of three days: positions 1 and 2, 3 and 4, 5 and 6.
func threeDays(t testing.TB) *history {
	h := begin(t, time.Date(2026, 10, 1, 9, 30, 0, 0, time.UTC))
	for i, at := range []string{"2026-10-01T09:30:00Z", "2026-10-02T09:30:00Z", "2026-10-04T09:30:00Z"} {
		h.at(at).orderOf("alice", domain.OrderID(fmt.Sprint("o-", i)), domain.Money{Minor: 5000, Currency: domain.GBP}, domain.DefaultPolicy(), domain.Store)
	}
	return h
}

func bounded(t testing.TB, o export.Options, from, to string) export.Options {
	t.Helper()
	var errs [2]error
	o.From, errs[0] = export.ParseBound("--from", from)
	o.To, errs[1] = export.ParseBound("--to", to)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAnExportBeginsAndEndsWhereItIsTold(t *testing.T) {
	h := threeDays(t)
	for _, c := range []struct{ name, from, to, want string }{
		{"all", "", "", "1 2 3 4 5 6"},
		{"from a day on", "2026-10-02", "", "3 4 5 6"},
		{"from a day without events", "2026-10-03", "", "5 6"},
		{"to the end of a day", "", "2026-10-02", "1 2 3 4"},
		{"one day", "2026-10-02", "2026-10-02", "3 4"},
		{"a day without events", "2026-10-03", "2026-10-03", ""},
		{"the day of the last", "", "2026-10-04", "1 2 3 4 5 6"},
		{"from a time", "2026-10-01T09:30:00.000001Z", "", "3 4 5 6"},
		{"from the time of an event", "2026-10-02T09:30Z", "", "3 4 5 6"},
		{"to the time of an event", "", "2026-10-02T09:30:00Z", "1 2"},
		{"a time elsewhere", "", "2026-10-02T10:30:01+01:00", "1 2 3 4"},
		{"after a position", "2", "", "3 4 5 6"},
		{"up to a position", "", "4", "1 2 3 4"},
		{"between positions", "2", "4", "3 4"},
		{"a position and a day", "2", "2026-10-02", "3 4"},
		{"a day and a position", "2026-10-02", "4", "3 4"},
		{"before the first position", "0", "2", "1 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := bounded(t, h.options(export.JSONLines), c.from, c.to)
			for range 2 { // the second time it finds all of it done
				h.run(o)
				var got []string
				for _, line := range readJSON(t, o.Dir) {
					got = append(got, line[export.Commit].(interface{ String() string }).String())
				}
				if strings.Join(got, " ") != c.want {
					t.Errorf("got the positions %v, want %s", got, c.want)
				}
			}
		})
	}
}

func TestBoundsThatMakeNoSenseAreRefused(t *testing.T) {
	h := threeDays(t)
	empty := begin(t, h.time())
	for _, c := range []struct {
		name, from, to string
		h              *history
		want           string
	}{
		{"a day before the first", "2026-09-30", "", h, "--from (bound_before_first): 2026-09-30 is before the first event, which was stored at 2026-10-01T09:30:00.000000Z"},
		{"a time before the first", "2026-10-01T09:29:59Z", "", h, "--from (bound_before_first): 2026-10-01T09:29:59Z is before"},
		{"a day after the last", "", "2026-10-05", h, "--to (bound_after_last): 2026-10-05 is after the last event, which was stored at 2026-10-04T09:30:00.000000Z"},
		{"a time after the last", "2026-10-04T09:30:01Z", "", h, "--from (bound_after_last): 2026-10-04T09:30:01Z is after"},
		{"an end before the first", "", "2026-09-30", h, "--to (bound_before_first)"},
		{"an end at the first", "", "2026-10-01T09:30Z", h, "--to (bound_before_first): 2026-10-01T09:30:00Z leaves nothing"},
		{"an end at no position", "", "0", h, "--to (bound_before_first): 0 leaves nothing: the first event was stored at 2026-10-01T09:30:00.000000Z, at position 1"},
		{"a position after the last", "", "7", h, "--to (bound_after_last): 7 is after the last event, which is at position 6"},
		{"a beginning at the last", "6", "", h, "--from (bound_after_last): 6 leaves nothing"},
		{"days reversed", "2026-10-04", "2026-10-02", h, "--from (bounds_reversed): 2026-10-04 is not before --to 2026-10-02"},
		{"positions reversed", "4", "2", h, "--from (bounds_reversed)"},
		{"a position and a day reversed", "4", "2026-10-02", h, "--from (bounds_reversed): 4 is not before --to 2026-10-02"},
		{"a day and a position reversed", "2026-10-04", "2", h, "--from (bounds_reversed): 2026-10-04 is not before --to 2"},
		{"a beginning inside an append", "3", "", h, "--from (bound_in_append): 3 is in the middle of an append, whose last event is at position 4: use that"},
		{"an end inside an append", "", "1", h, "--to (bound_in_append): 1 is in the middle of an append, whose last event is at position 2: use that"},
		{"no events", "2026-10-04", "", empty, "--from (bound_outside): 2026-10-04 can't be found: there are no events yet"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := bounded(t, c.h.options(export.CSV), c.from, c.to)
			_, err := export.Run(t.Context(), c.h.store, o)
			if !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if left := contents(t, o.Dir); len(left) > 0 {
				t.Errorf("it left %v", left)
			}
		})
	}
	for _, text := range []string{"yesterday", "2026-13-01", "2026-10-01T25:00Z", "-1", "1.5", "2026-10-01 09:30"} {
		if _, err := export.ParseBound("--to", text); !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), "--to (bound_malformed)") {
			t.Errorf("%q is answered with %v", text, err)
		}
	}
}

func TestUnknownFormatsAndTypesAreRefused(t *testing.T) {
	if _, err := export.ParseFormat("xls"); !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), "parquet, csv and jsonl") {
		t.Error(err)
	}
	_, err := export.ParseTypes([]string{"points-awarded.v1", "points-guessed.v1"})
	if !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), `no event is called "points-guessed.v1"; they are order-placed.v1, points-awarded.v1,`) {
		t.Error(err)
	}
	if types, err := export.ParseTypes([]string{"points-awarded.v1", "order-placed.v1", "points-awarded.v1"}); err != nil || strings.Join(types, " ") != "order-placed.v1 points-awarded.v1" {
		t.Error(types, err)
	}
}
