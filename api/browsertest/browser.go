// Package browsertest is a browser for tests: a real headless Chromium, driven over its DevTools protocol. A test's tab fails the test
// for whatever goes wrong in it that the test doesn't know of: exceptions, errors on the console, requests that fail, and what the
// content security policy blocks.
package browsertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// names are what Chromium is called, on Debian and elsewhere.
var names = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

// browser is the one that all tests of a binary share, each with tabs of its own. Main owns it.
var browser struct {
	context context.Context
	// start starts it for the first tab, and says why it could not.
	start func() error
}

// Main runs a package's tests, which may open tabs, and then ends the browser. It is for TestMain; the browser is started only if a
// test opens a tab.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "browser")
	if err != nil {
		fmt.Fprintln(os.Stderr, "browsertest:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options(dir)...)
	defer stop()
	ctx, end := chromedp.NewContext(ctx)
	defer end()
	browser.context = ctx
	started, failed := false, error(nil)
	browser.start = func() error {
		if !started {
			started, failed = true, start(ctx)
		}
		return failed
	}
	status := m.Run()
	if started && failed == nil {
		if err := chromedp.Cancel(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "browsertest: the browser did not end:", err)
			return max(status, 1)
		}
	}
	return status
}

func start(ctx context.Context) error {
	if found() == "" {
		return errors.New("there is no Chromium: run make packages, or install Debian's package chromium")
	}
	return chromedp.Do(ctx)
}

// found is where the browser is, empty if it is nowhere.
func found() string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// options have a browser that leaves nothing behind outside of dir, and calls nobody but the pages under test.
func options(dir string) []chromedp.ExecAllocatorOption {
	return append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(found()),
		chromedp.UserDataDir(filepath.Join(dir, "profile")),
		chromedp.Env("TMPDIR="+dir),
		// Tests run as root on machines of their own; the pages are ours.
		chromedp.NoSandbox,
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("lang", "en-GB"),
	)
}
