// Command loyalty is the one program of the system. It parses its command line, runs the command, and exits with its status.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"loyalty/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := cli.Run(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(status)
}
