package domain_test

import (
	"testing"

	"loyalty/domain"
)

func TestACheckpointSurvivesBeingStored(t *testing.T) {
	at := func(n uint64) domain.Position { return domain.Position{Commit: n, Prepare: n} }
	for name, c := range map[string]domain.Checkpoint{
		"the zero checkpoint":        {},
		"a position alone":           domain.CheckpointAt(at(7)),
		"a position of two parts":    domain.CheckpointAt(domain.Position{Commit: 1<<63 - 1, Prepare: 12}),
		"a log without our events":   {Position: at(7), Log: "3f1c1f6e-64a5-4f8e-9d0b-6a8a0d3c1f00", Fold: 1},
		"everything a runner stores": {Position: at(9), Log: "3f1c1f6e-64a5-4f8e-9d0b-6a8a0d3c1f00", Last: domain.EventRef{Position: at(7), ID: "0c1f1f6e-64a5-4f8e-9d0b-6a8a0d3c1f11"}, Fold: 2},
	} {
		t.Run(name, func(t *testing.T) {
			if known := c != domain.CheckpointAt(c.Position); known != (c.Origin() != "") {
				t.Errorf("the origin is %q", c.Origin())
			}
			if got, err := domain.ParseCheckpoint(c.Position, c.Origin()); err != nil || got != c {
				t.Errorf("%q is read as %+v, %v", c.Origin(), got, err)
			}
		})
	}
}

func TestATextThatIsNoOrigin(t *testing.T) {
	for _, text := range []string{" ", "7", `{"last":"x"}`, `{"fold":"x"}`, `{"last":{"position":"x"}}`} {
		if got, err := domain.ParseCheckpoint(domain.Position{}, text); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}
