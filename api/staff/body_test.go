package staff

import (
	"testing"

	"loyalty/api/bodytest"
)

func FuzzDecodeReveal(f *testing.F) {
	f.Add([]byte(`{"proxyName": "Amber Otter 482913", "reason": "a complaint"}`))
	f.Add([]byte(`{"proxyName": " amber  OTTER 482913", "reason": null}`))
	f.Add([]byte(`{"proxyName": 1, "reason": "\u0000", "reason": ""}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		type reveal struct{ name, reason string }
		decode := func(body []byte) (reveal, error) {
			name, reason, err := decodeReveal(body)
			return reveal{name, reason}, err
		}
		got, err := decode(body)
		if err != nil {
			bodytest.Invalid(t, body, err)
			return
		}
		bodytest.ReadsAlike(t, got, map[string]any{"proxyName": got.name, "reason": got.reason}, decode)
	})
}
