package admission

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"loyalty/domain"
	"loyalty/internal/problem"
)

func TestAnAddressHasHalfOfWhatAllMayAsk(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	clock := func() time.Time { return now }
	addresses := newAddresses(20)
	// takeAll takes until it may no more, and gives how often it could.
	takeAll := func(from func(i int) string, becomes error) (taken int) {
		t.Helper()
		for ; taken < 1000; taken++ {
			err := addresses.Take(from(taken), clock)
			var later *domain.LaterError
			if err == nil {
				continue
			}
			if !errors.Is(err, becomes) || !errors.As(err, &later) || later.After <= 0 || later.After > time.Second {
				t.Errorf("it ends with %v, want %v and how long to wait", err, becomes)
			}
			return taken
		}
		return taken
	}
	if n := takeAll(func(i int) string { return fmt.Sprintf("192.0.2.1:%d", 1000+i) }, problem.ErrRateLimited); n != 10 {
		t.Errorf("one address was let in %d times", n)
	}
	if n := takeAll(func(i int) string { return fmt.Sprintf("[2001:db8::%d]:80", i) }, problem.ErrRateLimited); n != 10 {
		t.Errorf("one network was let in %d times", n)
	}
	if n := takeAll(func(i int) string { return fmt.Sprintf("198.51.100.%d:80", i) }, problem.ErrOverloaded); n != 0 {
		t.Errorf("after 20 others were let in %d times", n)
	}
	now = now.Add(time.Second)
	if n := takeAll(func(i int) string { return fmt.Sprintf("198.51.100.%d:80", i) }, problem.ErrOverloaded); n != 20 {
		t.Errorf("a second later others were let in %d times", n)
	}
}
