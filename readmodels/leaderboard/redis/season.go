package redis

import "context"

// Season is the leaderboard of a season beside this one. It shares this board's client, which is closed with this board and not
// by itself. On a cluster it is in a hash slot of its own.
func (b *Board) Season(id string) *Board {
	name := b.name + "." + id
	return newBoard(b.client, b.tasks, name, "loyalty:{"+name+"}:", "")
}

// Remove takes all that Redis has of the board away. Its readers, and whoever writes it, get domain.ErrNotCaughtUp until the
// next Load.
func (b *Board) Remove(ctx context.Context) error {
	if err := b.client.Unlink(ctx, b.keys...).Err(); err != nil {
		return trouble(ctx, err)
	}
	return nil
}
