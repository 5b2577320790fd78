package embedded

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// streamFilter is the filter of a subscription by a regular expression on stream names.
func streamFilter(pattern string) (*filter, error) {
	return newFilter(&streams.ReadReq_Options{FilterOption: &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
		Filter: &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: &streams.ReadReq_Options_FilterOptions_Expression{Regex: pattern}},
		Window: &streams.ReadReq_Options_FilterOptions_Max{Max: 1},
	}}})
}

func TestPatternsAreInTheDialectOfDotNet(t *testing.T) {
	for _, c := range []struct {
		pattern      string
		matches, not string
	}{
		{`^(?!\$)`, "order-1", "$settings"},
		{`^(?!\$|system-).+$`, "order-1", "system-1"},
		{`(?<=^order)-\d+$`, "order-17", "return-17"},
		{`(?<!return)-1$`, "order-1", "return-1"},
		{`^(.)\1`, "oorder", "order"},
		{`^(?>o+)x`, "oox", "ooy"}, // an atomic group
		{`^(?i:ORDER)-`, "order-1", "horder-1"},
		{`^\p{Lu}`, "Äpfel", "äpfel"},
		{`^(?<kind>order|return)-`, "return-1", "account-1"},
		{`^order-\d$`, "order-\u0663", "order-x"}, // any script's digits
		{`^.{5}$`, "größe", "grösse"},
		{`er`, "order", "account"},
	} {
		f, err := streamFilter(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		if got, err := f.matches(record{stream: []byte(c.matches)}); err != nil || !got {
			t.Errorf("%s on %q: %v, %v", c.pattern, c.matches, got, err)
		}
		if got, err := f.matches(record{stream: []byte(c.not)}); err != nil || got {
			t.Errorf("%s on %q: %v, %v", c.pattern, c.not, got, err)
		}
	}
}

func TestAPatternThatIsNoneIsInvalid(t *testing.T) {
	for _, pattern := range []string{"(", "[a", "(?<n", `\p{Nothing}`, "a{2,1}", "*"} {
		_, err := streamFilter(pattern)
		if _, ok := errors.AsType[errInvalid](err); !ok {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

func TestAPatternAndPrefixesAreRefusedTogether(t *testing.T) {
	for regex, prefixes := range map[string][]string{"^a": {"a"}, "^b": {"a", "b"}} {
		_, err := newFilter(&streams.ReadReq_Options{FilterOption: &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
			Filter: &streams.ReadReq_Options_FilterOptions_EventType{
				EventType: &streams.ReadReq_Options_FilterOptions_Expression{Regex: regex, Prefix: prefixes}},
		}}})
		if err == nil || !strings.Contains(err.Error(), "not both") {
			t.Errorf("%s and %v: %v", regex, prefixes, err)
		}
	}
}

// TestAPatternThatTakesTooLongEndsTheRead: it would take longer than the universe has existed.
func TestAPatternThatTakesTooLongEndsTheRead(t *testing.T) {
	w := idleWriter(t)
	slow := strings.Repeat("a", 80) + "!"
	w.take(asked(opAppend, "quick", expectNoStream, "x"))
	w.take(asked(opAppend, slow, expectNoStream, "y"))
	w.apply()
	f, err := streamFilter("^(a+)+$|quick")
	if err != nil {
		t.Fatal(err)
	}
	scan := &allScan{store: w.store, filter: f, render: render{store: w.store, upTo: 2}, end: 2, next: 1, left: 10}
	var p page
	if err := scan.fill(&p); !errors.Is(err, errSlowPattern) {
		t.Errorf("got %v", err)
	}
	if len(p.ends) != 1 {
		t.Errorf("%d events were found before it", len(p.ends))
	}
	_ = w.next.batch.Close()
}

// TestAFilterPausesOnlyAfterLongMatching: so that a client who has gone is noticed.
func TestAFilterPausesOnlyAfterLongMatching(t *testing.T) {
	withPattern, err := streamFilter("a")
	if err != nil {
		t.Fatal(err)
	}
	long, now := time.Now().Add(-time.Minute), time.Now()
	var none *filter
	if none.pauses(long) || (&filter{}).pauses(long) || withPattern.pauses(now) || !withPattern.pauses(long) {
		t.Error("it pauses at the wrong time")
	}
}

// FuzzAnyPatternIsInvalidOrMatches: whatever a client gives as a regular expression, and whatever the stream's name is, it ends.
func FuzzAnyPatternIsInvalidOrMatches(f *testing.F) {
	f.Add(`^(?!\$)`, "order-1")
	f.Add(`^(a+)+$`, strings.Repeat("a", 40)+"!")
	f.Add(`(?<n>a|b(?<-n>c))*?\k<n>(?(n)x|y)`, "abcax")
	f.Add(`[\w-[aeiou]]{2,}(?#comment)\b\B\A\z\Z\G`, "größe")
	f.Fuzz(func(t *testing.T, pattern, stream string) {
		fl, err := streamFilter(pattern)
		if err != nil || pattern == "" {
			return
		}
		fl.pattern.MatchTimeout = 10 * time.Millisecond
		if _, err := fl.matches(record{stream: []byte(stream)}); err != nil && !errors.Is(err, errSlowPattern) {
			t.Errorf("%v", err)
		}
	})
}
