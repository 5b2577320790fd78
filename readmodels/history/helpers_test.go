package history_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"loyalty/readmodels/history"
)

// newFolder is a folder for each case of a property test.
func newFolder(t *testing.T) string {
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// failing is testing.TB and rapid.TB.
type failing interface {
	Helper()
	Fatal(...any)
}

// asking is that with a context.
type asking interface {
	failing
	Fatalf(string, ...any)
	Context() context.Context
}

func open(t failing, dir string, o history.Options) *history.History {
	t.Helper()
	h, err := history.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func shut(t failing, h *history.History) {
	t.Helper()
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}

func sorted(t failing, dir string, patterns ...string) (all []string) {
	t.Helper()
	for _, pattern := range patterns {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, paths...)
	}
	return all
}

func drawSorted(r *rapid.T, dir string) string {
	if all := sorted(r, dir, "*.run", "*.snapshot"); len(all) > 0 {
		return rapid.SampledFrom(all).Draw(r, "file")
	}
	return ""
}

// spoil removes a file, or changes a byte of it.
func spoil(r *rapid.T, path string, remove bool) {
	if remove {
		if err := os.Remove(path); err != nil {
			r.Fatal(err)
		}
		return
	}
	content, err := os.ReadFile(path)
	if err != nil {
		r.Fatal(err)
	}
	content[rapid.IntRange(0, len(content)-1).Draw(r, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(r, "bit")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		r.Fatal(err)
	}
}

// cutTail takes bytes from the end of the last log, and puts others there.
func cutTail(t failing, dir string, bytes int64, rubbish []byte) {
	t.Helper()
	logs := sorted(t, dir, "*.log")
	last := logs[len(logs)-1]
	content, err := os.ReadFile(last)
	if err != nil {
		t.Fatal(err)
	}
	content = append(content[:max(int64(len(content))-bytes, 0)], rubbish...)
	if err := os.WriteFile(last, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
