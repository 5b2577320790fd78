package ledger

import (
	"fmt"
	"testing"

	"loyalty/domain"
)

func TestADrawerIsThatOfTheNameHoweverItIsWritten(t *testing.T) {
	for _, name := range []string{"amber otter 482913", "AMBER OTTER 482913", "  Amber\tOtter  482913 "} {
		if got, want := DrawerOf(name), DrawerOf("Amber Otter 482913"); got != want {
			t.Errorf("%q is in drawer %d, not %d", name, got, want)
		}
	}
	// Ledgers that were written hold this number.
	if got := DrawerOf("Amber Otter 482913"); got != 1305 {
		t.Errorf("it is in drawer %d", got)
	}
}

func TestDrawersAreAboutEquallyFull(t *testing.T) {
	proxies, err := domain.NewProxies([]byte("a secret of this test"))
	if err != nil {
		t.Fatal(err)
	}
	const each = 25
	var held [drawers + 1]int
	for n := range each * drawers {
		held[DrawerOf(proxies.Key(domain.CustomerID(fmt.Sprint("c-", n))).Name())]++
	}
	if held[0] > 0 {
		t.Errorf("%d are in drawer 0", held[0])
	}
	for drawer, n := range held[1:] {
		if n == 0 || n > 3*each {
			t.Errorf("drawer %d holds %d of %d", drawer+1, n, each*drawers)
		}
	}
}
