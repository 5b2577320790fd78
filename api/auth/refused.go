package auth

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"loyalty/domain"
)

const (
	// refusedRefresh is how often the list of refused subjects is read again.
	refusedRefresh = 10 * time.Second
	// maxRefused is the longest list that is read, in bytes.
	maxRefused = 16 << 20
)

// Refused are the subjects whose tokens are refused though they are valid: somebody left, a till was stolen, and their tokens have hours to go.
// The list is a file with a subject on each line, and may have empty lines and comments after #. It may be used from many goroutines at once; the
// nil list is empty.
type Refused struct {
	file     string
	log      *slog.Logger
	subjects atomic.Pointer[map[string]bool]
}

// OpenRefused reads a list. It is an error if that can't be, or a line is no subject.
func OpenRefused(file string, log *slog.Logger) (*Refused, error) {
	r := &Refused{file: file, log: log}
	return r, r.Reload()
}

// Run reads the list again every ten seconds until ctx ends. A list that can't be read leaves the one before in force, and is logged.
func (r *Refused) Run(ctx context.Context) {
	if r == nil {
		return
	}
	again := time.NewTicker(refusedRefresh)
	defer again.Stop()
	for {
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
		if err := r.Reload(); err != nil {
			r.log.LogAttrs(ctx, slog.LevelError, "the list of refused subjects can't be read; the one before counts", slog.Any("error", err))
		}
	}
}

// Reload reads the list now. Where that can't be, or a line is no subject, the one before stays.
func (r *Refused) Reload() error {
	info, err := os.Stat(r.file)
	if err == nil && info.Size() > maxRefused {
		err = fmt.Errorf("%s has more than %d bytes", r.file, maxRefused)
	}
	if err != nil {
		return err
	}
	data, err := os.ReadFile(r.file)
	if err != nil {
		return err
	}
	subjects := map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		subject, _, _ := strings.Cut(lines.Text(), "#")
		if subject = strings.TrimSpace(subject); subject == "" {
			continue
		}
		if _, err := domain.ParseActor("subject", subject); err != nil {
			return fmt.Errorf("%s, line %d: %w", r.file, n, err)
		}
		subjects[subject] = true
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", r.file, err)
	}
	if before := r.subjects.Swap(&subjects); before != nil && len(*before) != len(subjects) {
		r.log.Info("the list of refused subjects was read again", "subjects", len(subjects))
	}
	return nil
}

// has tells whether tokens of a subject are refused.
func (r *Refused) has(subject string) bool {
	if r == nil {
		return false
	}
	subjects := *r.subjects.Load()
	return len(subjects) > 0 && subjects[subject]
}
