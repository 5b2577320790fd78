package redis

import (
	"context"
	"crypto/rand"
	"slices"

	"loyalty/readmodels/leaderboard"
)

// Copy begins a rebuild; see leaderboard.Rebuilder. Once another rebuild has begun, every method of the copy is domain.ErrUnavailable.
func (b *Board) Copy(ctx context.Context) (leaderboard.Copy, error) {
	c := &rebuilt{Board: newBoard(b.client, b.tasks, b.name, "loyalty:{"+b.name+"}:copy:", rand.Text()), live: b}
	c.bounds = b.bounds
	if _, err := c.call(ctx, "begin a rebuild", copyScript); err != nil {
		return nil, err
	}
	return c, nil
}

// rebuilt is a leaderboard.Copy.
type rebuilt struct {
	*Board
	live *Board
}

// Switch replaces the live leaderboard with the copy; see leaderboard.Copy.
func (c *rebuilt) Switch(ctx context.Context) error { return c.replace(ctx, "") }

// Replace replaces the live leaderboard with the copy, also if that is behind it; see leaderboard.Copy.
func (c *rebuilt) Replace(ctx context.Context) error { return c.replace(ctx, "anyway") }

func (c *rebuilt) replace(ctx context.Context, how string) error {
	keys := append(slices.Clone(c.keys), c.live.keys[keyState], c.live.keys[keyCustomers], c.live.keys[keyRetired], c.live.keys[keyBeyond])
	_, err := c.callOn(ctx, "switch to the copy", switchScript, keys, how)
	return err
}

// Discard removes the copy; see leaderboard.Copy.
func (c *rebuilt) Discard(ctx context.Context) error {
	_, err := c.call(ctx, "discard the copy", discardScript)
	return err
}
