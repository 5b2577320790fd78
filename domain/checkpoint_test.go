package domain_test

import (
	"errors"
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
		"everything a runner stores": {Position: at(9), Log: "3f1c1f6e-64a5-4f8e-9d0b-6a8a0d3c1f00", Last: domain.EventRef{Position: at(7), ID: "0c1f1f6e-64a5-4f8e-9d0b-6a8a0d3c1f11"}, Fold: 2, Names: "9f86d081884c7d659a2feaa0c55ad015"},
		"names alone":                {Position: at(9), Names: "9f86d081884c7d659a2feaa0c55ad015"},
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

func TestACheckpointRefusesOtherNames(t *testing.T) {
	for _, c := range []struct {
		has, with string
		refused   bool
	}{{"a", "a", false}, {"a", "b", true}, {"", "b", false}, {"a", "", false}, {"", "", false}} {
		if err := (domain.Checkpoint{Names: c.has}).CheckNames(c.with); errors.Is(err, domain.ErrOtherNames) != c.refused || !c.refused && err != nil {
			t.Errorf("names of %q, with %q: %v", c.has, c.with, err)
		}
	}
}
