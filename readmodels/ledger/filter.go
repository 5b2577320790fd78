package ledger

import (
	"context"
	"encoding/binary"
	"iter"
	"slices"
	"time"

	"loyalty/domain"
)

// Filter selects entries of a trail. All fields that are set must match; the zero Filter selects every entry.
type Filter struct {
	// Kinds are the kinds to select; empty means every kind.
	Kinds   []Kind
	Channel domain.Channel
	// Order is a full id; or a bare one, for all orders with it that the customer may have: stored under it, or the full id of any channel or of
	// the customer themselves.
	Order domain.OrderID
	// From (inclusive) and Until (exclusive) bound OccurredAt, to the microsecond.
	From, Until time.Time
	// After selects entries after this position of the log.
	After domain.Position
}

// Orders are the ids as stored that Order may mean in a customer's trail.
func (f Filter) Orders(customer domain.CustomerID) []domain.OrderID {
	return domain.FullIDs(f.Order, customer)
}

// appendTo appends a canonical encoding of the filter: equal for equal filters, whatever the order of Kinds.
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

// Pages reads a customer's whole trail in pages of at most limit entries, one page in memory at a time. Entries that arrive after the
// first page was read are in none of them, so that all pages together are one snapshot of the trail. It ends after the first error.
func Pages(ctx context.Context, r Reader, customer domain.CustomerID, filter Filter, limit int) iter.Seq2[Trail, error] {
	return func(yield func(Trail, error) bool) {
		first, err := r.Trail(ctx, customer, filter, "", limit)
		if err != nil {
			yield(first, err)
			return
		}
		PagesFrom(ctx, r, customer, filter, limit, first)(yield)
	}
}

// PagesFrom is Pages where the first page was read already.
func PagesFrom(ctx context.Context, r Reader, customer domain.CustomerID, filter Filter, limit int, first Trail) iter.Seq2[Trail, error] {
	return func(yield func(Trail, error) bool) {
		page, err := first, error(nil)
		for yield(page, err) && err == nil && page.Next != "" {
			page, err = r.Trail(ctx, customer, filter, page.Next, limit)
		}
	}
}
