package accounts

import (
	"testing"

	"loyalty/api/bodytest"
)

func FuzzDecodeAdjustment(f *testing.F) {
	f.Add([]byte(`{"loyalty-points": 25, "reason": "goodwill"}`))
	f.Add([]byte(`{"loyalty-points": -9999999999999999999, "reason": null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := decodeAdjustment(body)
		if err != nil {
			bodytest.Invalid(t, body, err)
			return
		}
		bodytest.ReadsAlike(t, got, map[string]any{"loyalty-points": got.Points, "reason": got.Reason}, decodeAdjustment)
	})
}

func TestEveryFaultOfABodyIsToldAtOnce(t *testing.T) {
	_, err := decodeAdjustment([]byte(`{"loyalty-points": "1", "y": 1}`))
	bodytest.Faults(t, err, "y field_unknown, loyalty-points points_malformed, reason reason_missing")
}
