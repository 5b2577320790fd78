package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"loyalty/domain"
)

// Finder is the ledger as support sees it, who know something about a customer and look for the rest. It may be used from many
// goroutines at once; each answer is one snapshot. All return domain.ErrUnavailable when the store can't be reached.
type Finder interface {
	// Entry reads one of a customer's entries by its event id. If they have none with that id, whoever else may, it is
	// domain.ErrNotFound.
	Entry(ctx context.Context, customer domain.CustomerID, eventID string) (Entry, error)
	// Search looks for whatever has exactly this id: a customer with entries, an order, returns or adjustments. What is no id
	// at all is found nowhere.
	Search(ctx context.Context, id string) (Found, error)
	// Bucket lists every customer whose proxy name is in a bucket, in any order. Customers whose name was not known when their
	// first entry came are in none, nor is anybody who was forgotten.
	Bucket(ctx context.Context, bucket Bucket) ([]domain.CustomerID, error)
}

// By is what a search has found something by.
type By string

// What an id may be.
const (
	ByCustomer By = "customer"
	ByOrder    By = "order"
	ByReturn   By = "return"
	ByLoyalty  By = "loyalty"
)

// Match is something that has the id that was searched for.
type Match struct {
	By       By
	Customer domain.CustomerID
	// Order is the order, or the one that a return belongs to; otherwise empty.
	Order domain.OrderID
	// EventID and OccurredAt are those of the first entry about it; both are zero for a customer.
	EventID    string
	OccurredAt time.Time
}

// Found is what a search came to: customers first, then orders, returns and adjustments, each in the order of the log. An order
// id or a loyalty id may lead to several only where two streams used the same.
type Found struct {
	Matches []Match
	// More tells that there are others beyond MaxMatches.
	More bool
	State
}

// MaxMatches is the most matches that a search gives.
const MaxMatches = 20

// Bucket is a hash bucket of proxy names, 1 to 4,096; 0 stands for a name that is not known. The ledger stores each customer's bucket
// instead of the name or the proxy key. Whoever has the proxy secret finds the customer behind a name by computing the name of every
// customer in its bucket. Without the secret, a bucket says next to nothing: 1 of 4,096 customers shares it by chance.
// Stored under the name "drawer".
type Bucket int16

const buckets = 4096

// BucketOf is the bucket of a proxy name, from the first two bytes of the SHA-256 of the normalized name: letter case and the number of
// spaces between words make no difference.
func BucketOf(name string) Bucket {
	hash := sha256.Sum256([]byte(plain(name)))
	return Bucket(1 + binary.BigEndian.Uint16(hash[:])%buckets)
}

func plain(name string) string { return strings.ToLower(strings.Join(strings.Fields(name), " ")) }

// Named finds the customers who have a proxy name, in whatever case and spacing it is written. Several may share it, and most
// names are nobody's. To find them is a reveal: who may do it, and what is noted of it, is decided elsewhere.
func Named(ctx context.Context, f Finder, proxies domain.Proxies, name string) ([]domain.CustomerID, error) {
	customers, err := f.Bucket(ctx, BucketOf(name))
	if err != nil {
		return nil, err
	}
	wanted := plain(name)
	var buffer [32]byte
	return slices.DeleteFunc(customers, func(customer domain.CustomerID) bool {
		return !strings.EqualFold(string(proxies.Key(customer).AppendName(buffer[:0])), wanted)
	}), nil
}
