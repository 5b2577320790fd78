package past

import (
	"reflect"
	"testing"

	"loyalty/api/bodytest"
	"loyalty/readmodels/leaderboard"
)

func FuzzDecodeWhatIf(f *testing.F) {
	f.Add([]byte(`{"policy": {"id": "double", "spendPerPoint": {"GBP": 500, "EUR": 575}, "rounding": "up"}, "by": "month", "until": "2026-10-01", "top": 5}`))
	f.Add([]byte(`{"policy": {"id": "\ud83d\ude00", "spendPerPoint": {"GBP": 5e2}, "multipliers": [{"channel": "fax", "factor": 1.5}]}, "until": 1}`))
	f.Add([]byte(`{"policy": [{"<<": null}], "top": "1", "policy": "- &a [*a]"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		options, top, err := decodeWhatIf(body)
		if err != nil {
			bodytest.Invalid(t, body, err)
			return
		}
		if options.Policy == nil || options.Policy.ID == "" || top < 1 || top > leaderboard.MaxTop {
			t.Fatalf("%q asks for the best %d under %+v", body, top, options.Policy)
		}
		again, topAgain, err := decodeWhatIf(body)
		if err != nil || topAgain != top || !reflect.DeepEqual(again, options) {
			t.Fatalf("%q is %+v, then %+v, %v", body, options, again, err)
		}
	})
}
