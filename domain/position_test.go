package domain_test

import (
	"cmp"
	"encoding/json"
	"math"
	"testing"

	"loyalty/domain"

	"pgregory.net/rapid"
)

func TestPosition_is_written_short_and_read_back(t *testing.T) {
	for text, position := range map[string]domain.Position{
		"0":                   {},
		"7":                   {Commit: 7, Prepare: 7},
		"7-5":                 {Commit: 7, Prepare: 5},
		"0-3":                 {Commit: 0, Prepare: 3},
		"9223372036854775807": {Commit: math.MaxInt64, Prepare: math.MaxInt64},
	} {
		if got := position.String(); got != text {
			t.Errorf("%#v is written %q, want %q", position, got, text)
		}
		if got, err := domain.ParsePosition("position", text); err != nil || got != position {
			t.Errorf("%q is read %#v, %v; want %#v", text, got, err, position)
		}
	}
}

func TestParsePosition_refuses_by_field(t *testing.T) {
	for _, text := range []string{
		"", "-", "1-", "-1", "1-2-3", "+1", " 1", "1 ", "1e3", "0x1", "1_0", "one", "1--2", "٣",
		"9223372036854775808", "1-9223372036854775808", "18446744073709551615", "18446744073709551616", "99999999999999999999999",
	} {
		got, err := domain.ParsePosition("Loyalty-Min-Position", text)
		wantRefusals(t, err, "Loyalty-Min-Position position_malformed")
		if got != (domain.Position{}) {
			t.Errorf("%q is refused and still %v", text, got)
		}
	}
}

func FuzzParsePosition(f *testing.F) {
	for _, seed := range []string{"", "0", "7", "7-5", "7-7", "007", "-1", "18446744073709551615", "1-2-3"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		position, err := domain.ParsePosition("position", text)
		if err != nil {
			wantRefusals(t, err, "position position_malformed")
			return
		}
		if position.Commit > math.MaxInt64 || position.Prepare > math.MaxInt64 {
			t.Fatalf("%q is read %v, beyond any log", text, position)
		}
		if again, err := domain.ParsePosition("position", position.String()); err != nil || again != position {
			t.Fatalf("%q is read %v, written %q, and read %v, %v", text, position, position, again, err)
		}
	})
}

var positions = rapid.Custom(func(t *rapid.T) domain.Position {
	part := rapid.OneOf(rapid.Uint64Range(0, 3), rapid.Uint64Range(0, math.MaxInt64))
	return domain.Position{Commit: part.Draw(t, "commit"), Prepare: part.Draw(t, "prepare")}
})

func TestPosition_orders_by_commit_then_prepare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, q := positions.Draw(t, "p"), positions.Draw(t, "q")
		want := cmp.Compare(p.Prepare, q.Prepare)
		if p.Commit != q.Commit {
			want = cmp.Compare(p.Commit, q.Commit)
		}
		if p.Compare(q) != want || q.Compare(p) != -want || p.Before(q) != (want < 0) || (want == 0) != (p == q) {
			t.Fatalf("%v against %v is %d, back %d, before %v; want %d", p, q, p.Compare(q), q.Compare(p), p.Before(q), want)
		}
	})
}

func TestPosition_is_a_string_in_JSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		position := positions.Draw(t, "position")
		text, err := json.Marshal(position)
		if err != nil || string(text) != `"`+position.String()+`"` {
			t.Fatalf("%v is %s, %v", position, text, err)
		}
		var read domain.Position
		if err := json.Unmarshal(text, &read); err != nil || read != position {
			t.Fatalf("%s is read %v, %v", text, read, err)
		}
	})
	read := domain.Position{Commit: 7, Prepare: 7}
	wantRefusals(t, read.UnmarshalText([]byte("x")), "position position_malformed")
	if read != (domain.Position{Commit: 7, Prepare: 7}) {
		t.Errorf("a refused position was stored all the same: %v", read)
	}
}
