package history_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"loyalty/domain"
	"loyalty/readmodels/history"
	"loyalty/readmodels/leaderboard"
)

// TestWhatIsDamagedIsNotBelieved changes bytes all over each sorted file in turn, under an open history.
func TestWhatIsDamagedIsNotBelieved(t *testing.T) {
	dir := t.TempDir()
	h, m := told(t, dir, history.Options{SnapshotEvery: 2}, append(five(), history.Change{Kind: history.Forgotten, Key: keyOf(1)}, award(1, 7), award(2, 30))...)
	h.Settle()
	files := sorted(t, dir, "*.run", "*.snapshot")
	if len(sorted(t, dir, "*.snapshot")) == 0 || len(files) < 4 {
		t.Fatalf("there is too little: %v", files)
	}
	for _, path := range files {
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(whole); at += 31 + at%7 {
			damaged := bytes.Clone(whole)
			damaged[at] ^= 1 << (at % 8)
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			m.check(t, h, history.Moment{Position: position(8)}, keyOf(3), 10, 2)
		}
		// One of another moment is none either.
		for _, other := range files {
			if filepath.Ext(other) != filepath.Ext(path) || other == path {
				continue
			}
			content, err := os.ReadFile(other)
			if err == nil {
				err = os.WriteFile(path, content, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			for n := range uint64(8) {
				m.check(t, h, history.Moment{Position: position(n + 1)}, keyOf(3), 10, 2)
			}
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestADamagedLogIsFoldedAgain: what is found when the folder is opened is cut off with all that follows, and what is found
// later is an error, never a wrong answer.
func TestADamagedLogIsFoldedAgain(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"cut short":   func(path string) error { return os.Truncate(path, 100) },
		"too long":    func(path string) error { return appendTo(path, "rubbish") },
		"gone":        os.Remove,
		"cut between": func(path string) error { return os.Truncate(path, 96) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			h, m := told(t, dir, history.Options{SnapshotEvery: 2}, append(five(), five()...)...)
			shut(t, h)
			if err := damage(sorted(t, dir, "*.log")[1]); err != nil {
				t.Fatal(err)
			}
			var said bytes.Buffer
			h = open(t, dir, history.Options{SnapshotEvery: 2, Logger: slog.New(slog.NewTextHandler(&said, nil))})
			defer shut(t, h)
			at, err := h.Checkpoint(t.Context())
			if err != nil || at.Position.Commit < 2 || at.Position.Commit > 4 || !bytes.Contains(said.Bytes(), []byte("00000003.log")) {
				t.Fatalf("it is at %s, %v, and says:\n%s", at, err, &said)
			}
			m.cut(int(at.Position.Commit))
			m.check(t, h, history.Moment{Position: at.Position}, keyOf(1), 10, 2)
			tell(t, h, m, five()...)
			for n := range m.checkpoint().Commit {
				m.check(t, h, history.Moment{Position: position(n)}, keyOf(1), 10, 2)
			}
		})
	}
	dir := t.TempDir()
	h, _ := told(t, dir, history.Options{}, five()...)
	content, err := os.ReadFile(sorted(t, dir, "*.log")[0])
	if err != nil {
		t.Fatal(err)
	}
	content[60]++
	if err := os.WriteFile(sorted(t, dir, "*.log")[0], content, 0o600); err != nil {
		t.Fatal(err)
	}
	var d leaderboard.Dashboard
	if err := h.AsOf(t.Context(), "asOf", history.Moment{Position: position(5)}, keyOf(0), 1, 1, &d); err == nil || errors.Is(err, domain.ErrInvalid) {
		t.Errorf("a log damaged in use gives %+v, %v", d, err)
	}
}

// TestRubbishIsCutOffOfASegmentThatIsFull: nothing is written there any more that would take its place.
func TestRubbishIsCutOffOfASegmentThatIsFull(t *testing.T) {
	dir, options := t.TempDir(), history.Options{SnapshotEvery: 5}
	h, m := told(t, dir, options, five()...)
	shut(t, h)
	cutTail(t, dir, 0, []byte("what a process left that was killed"))
	for range 2 {
		h = open(t, dir, options)
		if at, err := h.Checkpoint(t.Context()); err != nil || at.Position != m.checkpoint() {
			t.Errorf("it is at %s, %v; want %s", at, err, m.checkpoint())
		}
		tell(t, h, m, award(1, 1))
		m.check(t, h, history.Moment{Position: m.checkpoint()}, keyOf(1), 10, 2)
		shut(t, h)
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(f, text)
	return errors.Join(err, f.Close())
}
