package projections

import (
	"testing"
	"time"
)

func TestABatchWaitsLongerWhereCommitsTakeLong(t *testing.T) {
	for _, c := range []struct{ delay, committing, want time.Duration }{
		{want: 2 * time.Millisecond},
		{committing: 100 * time.Microsecond, want: 2 * time.Millisecond},
		{committing: time.Millisecond, want: 10 * time.Millisecond},
		{committing: time.Minute, want: 20 * time.Millisecond},
		{delay: time.Second, committing: 200 * time.Millisecond, want: 2 * time.Second},
	} {
		s := session{Runner: NewRunner(Ledger{}, nil, Options{BatchDelay: c.delay}), committing: c.committing}
		if got := s.batchDelay(); got != c.want {
			t.Errorf("told to wait %s, after a commit that took %s, it waits %s, want %s", c.delay, c.committing, got, c.want)
		}
	}
}
