package redis

import (
	"context"
	"time"

	"loyalty/domain/season"
)

// Season is the board of a season. It shares this board's client and must not be closed itself: it closes with this board. On a cluster it
// has a hash slot of its own. A board that was loaded for other bounds of the season is not loaded: its readers and writers get
// domain.ErrNotCaughtUp until the next Load.
func (b *Board) Season(of season.Season) *Board {
	name := b.name + "." + of.ID
	s := newBoard(b.client, b.tasks, name, "loyalty:{"+name+"}:", "")
	s.bounds = of.From.UTC().Format(time.RFC3339Nano) + "/" + of.Until.UTC().Format(time.RFC3339Nano)
	return s
}

// Remove removes all of the board from Redis. Its readers and writers get domain.ErrNotCaughtUp until the next Load.
func (b *Board) Remove(ctx context.Context) error {
	if err := b.client.Unlink(ctx, b.keys...).Err(); err != nil {
		return classify(ctx, err)
	}
	return nil
}
