package redis

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// trimEvery is the time between two trims of the commands stream.
const trimEvery = 10 * time.Second

// trim deletes the entries that every group has acknowledged, and returns how many. Several processes may do so at once.
func (b *Broker) trim(ctx context.Context) (int64, error) {
	stream := b.topics.Commands
	groups, err := b.client.XInfoGroups(ctx, stream).Result()
	if err != nil || len(groups) == 0 {
		return 0, err
	}
	var floor entryID
	for i, g := range groups {
		// Entries that were not delivered yet come after the last one that was.
		low := parseEntryID(g.LastDeliveredID)
		if g.Pending > 0 {
			pending, err := b.client.XPending(ctx, stream, g.Name).Result()
			if err != nil {
				return 0, err
			}
			if pending.Count > 0 {
				low = parseEntryID(pending.Lower)
			}
		}
		if i == 0 || low.before(floor) {
			floor = low
		}
	}
	return b.client.XTrimMinID(ctx, stream, floor.String()).Result()
}

// entryID is the id of a stream's entry: a time in milliseconds and a number.
type entryID struct{ time, number uint64 }

func parseEntryID(text string) entryID {
	first, second, _ := strings.Cut(text, "-")
	var id entryID
	id.time, _ = strconv.ParseUint(first, 10, 64)
	id.number, _ = strconv.ParseUint(second, 10, 64)
	return id
}

func (id entryID) before(other entryID) bool {
	return id.time < other.time || (id.time == other.time && id.number < other.number)
}

// String is the id as Redis writes it.
func (id entryID) String() string {
	return strconv.FormatUint(id.time, 10) + "-" + strconv.FormatUint(id.number, 10)
}
