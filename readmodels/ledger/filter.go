package ledger

import (
	"context"
	"encoding/binary"
	"iter"
	"slices"
	"time"

	"loyalty/domain"
)

// Filter says which entries of a trail are wanted. The zero Filter wants all of them; what is set must all hold.
type Filter struct {
	// Kinds are those wanted; none is every kind.
	Kinds   []Kind
	Channel domain.Channel
	Order   domain.OrderID
	// From and Until bound when an entry occurred: at From or later, and before Until. Both count to the microsecond.
	From, Until time.Time
	// After is a place in the log: entries that stand after it are wanted.
	After domain.Position
}

// appendTo writes the filter in bytes that no other filter has, whatever the order of its kinds.
func (f Filter) appendTo(raw []byte) []byte {
	raw = appendText(appendText(appendKinds(raw, f.Kinds), string(f.Channel)), string(f.Order))
	raw = appendTime(appendTime(raw, f.From), f.Until)
	raw = binary.BigEndian.AppendUint64(raw, f.After.Commit)
	return binary.BigEndian.AppendUint64(raw, f.After.Prepare)
}

func appendKinds[K ~string](raw []byte, some []K) []byte {
	kinds := slices.Compact(slices.Sorted(slices.Values(some)))
	raw = append(raw, byte(len(kinds)))
	for _, kind := range kinds {
		raw = appendText(raw, string(kind))
	}
	return raw
}

func appendTime(raw []byte, bound time.Time) []byte {
	if bound.IsZero() {
		return append(raw, 0)
	}
	return binary.BigEndian.AppendUint64(append(raw, 1), uint64(bound.UnixMicro()))
}

func appendText(raw []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint32(raw, uint32(len(text))), text...)
}

// Pages reads a customer's trail to its end, in pages of at most limit entries, one of which is in memory at a time. What
// arrives after the first page was read is in none of them, so the entries are those of one moment. An error is the last
// that it yields.
func Pages(ctx context.Context, r Reader, customer domain.CustomerID, filter Filter, limit int) iter.Seq2[Trail, error] {
	return func(yield func(Trail, error) bool) {
		for cursor := ""; ; {
			page, err := r.Trail(ctx, customer, filter, cursor, limit)
			cursor = page.Next
			if !yield(page, err) || err != nil || cursor == "" {
				return
			}
		}
	}
}
