package redis

import "context"

// Season is the board of a season. It shares this board's client and must not be closed itself: it closes with this board. On a cluster it
// has a hash slot of its own.
func (b *Board) Season(id string) *Board {
	name := b.name + "." + id
	return newBoard(b.client, b.tasks, name, "loyalty:{"+name+"}:", "")
}

// Remove removes all of the board from Redis. Its readers and writers get domain.ErrNotCaughtUp until the next Load.
func (b *Board) Remove(ctx context.Context) error {
	if err := b.client.Unlink(ctx, b.keys...).Err(); err != nil {
		return classify(ctx, err)
	}
	return nil
}
