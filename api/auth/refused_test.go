package auth

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Given a process that has a list of refused subjects
// When the list changes, or can't be read any more
// Then the change counts within ten seconds, and the list before counts as long as there is no other.
func TestTheListOfRefusedSubjectsIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "refused.txt")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"", "\n\n", "# nobody\n", "ann\nauth0|7 # left\r\n  bob  \n"} {
		write(text)
		r, err := OpenRefused(file, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		for _, subject := range []string{"ann", "auth0|7", "bob"} {
			if listed := strings.Contains(text, subject); r.has(subject) != listed {
				t.Errorf("%q has %s: %t", text, subject, !listed)
			}
		}
	}
	for _, text := range []string{"ann, bob\n", "a b\n", "@\n", "ann\n\x00\n", strings.Repeat("a", 65) + "\n", strings.Repeat("a", 1<<17)} {
		write(text)
		if _, err := OpenRefused(file, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	if _, err := OpenRefused(file+".none", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a list that isn't there is read")
	}
	synctest.Test(t, func(t *testing.T) {
		write("ann\n")
		r, err := OpenRefused(file, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { r.Run(ctx) })
		for text, refused := range map[string]string{"ann\nbob\n": "ann bob", "bob\n": "bob", "": ""} {
			write(text)
			time.Sleep(refusedRefresh)
			synctest.Wait()
			for _, subject := range []string{"ann", "bob"} {
				if r.has(subject) != strings.Contains(refused, subject) {
					t.Errorf("after %q, %s is refused: %t", text, subject, r.has(subject))
				}
			}
		}
		write("zoe\n")
		time.Sleep(refusedRefresh)
		synctest.Wait()
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if !r.has("zoe") {
			t.Error("without the list nobody is refused any more")
		}
		stop()
		running.Wait()
	})
	if (*Refused)(nil).has("ann") {
		t.Error("without a list somebody is refused")
	}
	(*Refused)(nil).Run(t.Context())
}
