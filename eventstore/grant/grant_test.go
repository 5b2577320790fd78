package grant_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"loyalty/domain"
	"loyalty/eventstore/grant"
	"loyalty/eventstore/storetest"
)

func TestGrantsAtOnceAllCount(t *testing.T) {
	_, target := storetest.Start(t)
	store := storetest.Connect(t, target)
	// Given a preview, which changes nothing
	if g, err := grant.Log(t.Context(), store, "user-0", false); err != nil || !g.New {
		t.Fatalf("previewed: %+v, %v", g, err)
	}
	// When several users are granted the log at the same time, each of them twice
	var granting sync.WaitGroup
	var mu sync.Mutex
	fresh := 0
	for i := range 8 {
		granting.Go(func() {
			g, err := grant.Log(t.Context(), store, fmt.Sprint("user-", i/2), true)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if g.New {
				fresh++
			}
		})
	}
	granting.Wait()
	// Then each of them is a reader once, beside the administrators
	g, err := grant.Log(t.Context(), store, "user-0", true)
	if err != nil || g.New {
		t.Fatalf("once more: %+v, %v", g, err)
	}
	slices.Sort(g.Readers)
	if want := []string{"$admins", "user-0", "user-1", "user-2", "user-3"}; fresh != 4 || !slices.Equal(g.Readers, want) {
		t.Errorf("%d grants were new, and the readers are %q; want %q", fresh, g.Readers, want)
	}
}

func TestAGrantIsForAUserWhoCanExist(t *testing.T) {
	_, target := storetest.Start(t)
	store := storetest.Connect(t, target)
	for _, user := range []string{"", "$all", "$admins", "a:b", "a\nb", "\xff"} {
		if _, err := grant.Log(t.Context(), store, user, true); !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("%q: %v", user, err)
		}
	}
}
