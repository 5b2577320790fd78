package replay

import (
	"context"

	"loyalty/domain"
	"loyalty/eventstore"
)

// chunk is events that one goroutine hands to another.
type chunk struct {
	n      int
	events [256]eventstore.Recorded
}

// chunks is how many there are, being filled, waiting or being folded. No channel has to hold more.
const chunks = 4

// readAhead reads the log up to end in a goroutine of its own, whose end it waits for, while fold takes what was read in this one. It
// returns fold's first error, or that of reading.
func readAhead(ctx context.Context, store *eventstore.Store, end domain.Position, fold func(*eventstore.Recorded) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	full, free := make(chan *chunk, chunks), make(chan *chunk, chunks)
	for range chunks {
		free <- &chunk{}
	}
	var reading error
	go func() {
		defer close(full)
		c := <-free
		reading = store.BetweenUndecoded(ctx, domain.Position{}, end, types(), func(r *eventstore.Recorded) error {
			c.events[c.n] = *r
			if c.n++; c.n < len(c.events) {
				return nil
			}
			full <- c
			select {
			case c = <-free:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if reading == nil {
			full <- c
		}
	}()
	var folding error
	for c := range full {
		for i := range c.n {
			if folding == nil {
				if folding = fold(&c.events[i]); folding != nil {
					stop()
				}
			}
		}
		c.n = 0
		free <- c
	}
	if folding != nil {
		return folding
	}
	return reading
}
