package replay

import (
	"testing"

	"pgregory.net/rapid"
)

func TestTheMultiplierOfAnOrderIsRemembered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f factors
		model := map[string]uint8{}
		// Ids that begin alike, on both sides of what is short, also with the byte that is behind the short ones.
		ids := rapid.SampledFrom([]string{"", "o", "o-1", "o-1\x00", "o-1\x00\x03", "0123456789012345678901234567890", "01234567890123456789012345678901", "0123456789012345678901234567890\x1f",
			"0123456789012345678901234567890123456789012345678901234567890123"})
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			id := ids.Draw(t, "id")
			if got := f.of([]byte(id)); got != model[id] {
				t.Fatalf("%q has %d, want %d", id, got, model[id])
			}
			n := rapid.Uint8Range(1, 9).Draw(t, "multiplier")
			f.set([]byte(id), n)
			model[id] = n
		}
		for id, want := range model {
			if got := f.of([]byte(id)); got != want {
				t.Errorf("%q has %d, want %d", id, got, want)
			}
		}
	})
}
