package redis

import (
	"context"
	"crypto/rand"
	"slices"

	"loyalty/readmodels/leaderboard"
)

// Copy is leaderboard.Rebuilder's. To a rebuild that another one has displaced, every method is domain.ErrUnavailable.
func (b *Board) Copy(ctx context.Context) (leaderboard.Copy, error) {
	c := &beside{Board: newBoard(b.client, b.tasks, b.name, "loyalty:{"+b.name+"}:copy:", rand.Text()), live: b}
	if _, err := c.call(ctx, "begin a rebuild", copyScript); err != nil {
		return nil, err
	}
	return c, nil
}

// beside is a copy beside the live leaderboard.
type beside struct {
	*Board
	live *Board
}

// Switch is leaderboard.Copy's.
func (c *beside) Switch(ctx context.Context) error {
	keys := append(slices.Clone(c.keys), c.live.keys[0], c.live.keys[1], c.live.keys[4])
	_, err := c.callOn(ctx, "switch to the copy", switchScript, keys)
	return err
}

// Discard is leaderboard.Copy's.
func (c *beside) Discard(ctx context.Context) error {
	_, err := c.call(ctx, "discard the copy", discardScript)
	return err
}
