package main

import (
	"runtime"
	"strings"
	"testing"

	"loyalty/internal/cli"
)

func TestVersionIsPrintedAlsoBesideACommand(t *testing.T) {
	for _, args := range [][]string{{"--version"}, {"serve", "--version"}} {
		stdout, stderr, status := runProgram(t, args...)
		if status != cli.ExitOK || stderr != "" || !strings.HasPrefix(stdout, "loyalty ") || !strings.Contains(stdout, "\nrevision  ") || !strings.Contains(stdout, runtime.Version()) {
			t.Errorf("%v: exit status %d, %q, %q", args, status, stdout, stderr)
		}
	}
}
