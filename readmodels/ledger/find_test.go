package ledger

import (
	"fmt"
	"testing"

	"loyalty/domain"
)

func TestABucketIsThatOfTheNameHoweverItIsWritten(t *testing.T) {
	for _, name := range []string{"amber otter 482913", "AMBER OTTER 482913", "  Amber\tOtter  482913 "} {
		if got, want := BucketOf(name), BucketOf("Amber Otter 482913"); got != want {
			t.Errorf("%q is in bucket %d, not %d", name, got, want)
		}
	}
	// Ledgers that were written hold this number.
	if got := BucketOf("Amber Otter 482913"); got != 1305 {
		t.Errorf("it is in bucket %d", got)
	}
}

func TestBucketsAreAboutEquallyFull(t *testing.T) {
	proxies, err := domain.NewProxies([]byte("a secret of this test"))
	if err != nil {
		t.Fatal(err)
	}
	const each = 25
	var held [buckets + 1]int
	for n := range each * buckets {
		held[BucketOf(proxies.Key(domain.CustomerID(fmt.Sprint("c-", n))).Name())]++
	}
	if held[0] > 0 {
		t.Errorf("%d are in bucket 0", held[0])
	}
	for bucket, n := range held[1:] {
		if n == 0 || n > 3*each {
			t.Errorf("bucket %d holds %d of %d", bucket+1, n, each*buckets)
		}
	}
}
