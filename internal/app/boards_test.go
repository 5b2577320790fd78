package app

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Given a process that keeps its leaderboards in a folder
// When it has stopped, and its leaderboards are opened again
// Then they start from their files, and the file of a season that is over is gone.
func TestSeasonsStartFromTheirFiles(t *testing.T) {
	var said syncBuffer
	y := openYear(t, "month+1,2026-Q4", nil)
	y.of.log = slog.New(slog.NewTextHandler(&said, nil))
	folder := t.TempDir()
	files, err := openBoardFiles(Config{Connections: Connections{Leaderboard: MemoryScheme}, Boards: folder, BoardsEvery: time.Hour, EventStore: Quiet()})
	if err != nil {
		t.Fatal(err)
	}
	y.of.files = files
	for _, wrong := range []Config{
		{Connections: Connections{Leaderboard: "redis://127.0.0.1"}, Boards: folder, BoardsEvery: time.Hour}, {Connections: Connections{Leaderboard: MemoryScheme}, Boards: folder},
	} {
		var config ConfigError
		if _, err := openBoardFiles(wrong); !errors.As(err, &config) {
			t.Errorf("%+v: %v", wrong.Connections, err)
		}
	}
	last := y.give("alice", 30, "2026-10-05")
	y.at("2026-11-23")
	y.sees("2026-10", "alice", last, 1, 30)
	y.sees("2026-Q4", "alice", last, 1, 30)
	y.of.close()
	again := &seasons{
		calendar: y.of.calendar, store: y.store, ledger: y.of.ledger, keeps: true, proxies: y.of.proxies, files: files, log: y.of.log, now: time.Now,
	}
	t.Cleanup(again.close)
	second := y
	second.of = again
	second.at("2026-11-23")
	last = second.give("bob", 40, "2026-10-06")
	second.sees("2026-10", "bob", last, 1, 40)
	second.sees("2026-10", "alice", last, 2, 30)
	second.sees("2026-Q4", "alice", last, 2, 30)
	if n := strings.Count(said.String(), "is loaded from its file"); n < 2 {
		t.Errorf("%d leaderboards started from their files:\n%s", n, said.String())
	}
	october := filepath.Join(folder, "leaderboard-2026-10.board")
	if _, err := os.Stat(october); err != nil {
		t.Error(err)
	}
	second.at("2026-12-01")
	if _, err := os.Stat(october); !os.IsNotExist(err) {
		t.Errorf("the file of October stays: %v", err)
	}
}

// syncBuffer may be written by several goroutines.
type syncBuffer struct {
	mu   sync.Mutex
	said bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.said.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.said.String()
}
