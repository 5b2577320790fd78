package redis

import (
	"context"
	"time"
)

// Remove removes all of a board from its server, if that can be reached.
func Remove(address string) {
	b, err := Open(context.Background(), address, nil)
	if err != nil {
		return
	}
	defer b.Close()
	prefix := "loyalty:{" + b.name + "}:"
	for _, keys := range [][]string{b.keys, boardKeys(prefix + "copy:")} {
		b.client.Unlink(context.Background(), keys...)
	}
}

// Claim sets for how long a load claims the board, and how long it does so without standings.
func (b *Board) Claim(claimFor, maxSilence time.Duration) {
	b.loads.claimFor, b.loads.maxSilence = claimFor, maxSilence
}
