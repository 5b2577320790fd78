package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"loyalty/domain"
)

// UsedBytes is the memory that the Redis server uses in total, not for this leaderboard alone; of a cluster, that of one node.
func (b *Board) UsedBytes(ctx context.Context) (uint64, error) {
	info, err := b.client.Info(ctx, "memory").Result()
	if err != nil {
		return 0, fmt.Errorf("ask how much memory is used: %w", classify(ctx, err))
	}
	for line := range strings.Lines(info) {
		if text, found := strings.CutPrefix(strings.TrimSpace(line), "used_memory:"); found {
			return strconv.ParseUint(text, 10, 64)
		}
	}
	return 0, fmt.Errorf("%w: the server doesn't say how much memory it uses", domain.ErrUnavailable)
}
