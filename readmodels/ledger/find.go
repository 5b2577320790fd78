package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"time"

	"loyalty/domain"
)

// Finder looks things up by their ids, and customers by the bucket of their proxy name. It is safe for concurrent use. Each answer is
// one snapshot. All methods return domain.ErrUnavailable when the store can't be reached.
type Finder interface {
	// Entry reads one of a customer's entries by its event id. It is domain.ErrNotFound if this customer has no such entry.
	Entry(ctx context.Context, customer domain.CustomerID, eventID string) (Entry, error)
	// Search finds everything that has exactly this id: a customer with entries, orders, returns, adjustments. A bare id also finds what any
	// channel or support has under it, but no order of a customer's own, which only its full id finds. A text that is not a valid id matches
	// nothing.
	Search(ctx context.Context, id string) (Found, error)
	// Bucket lists the customers in a bucket, in any order. Forgotten customers are in none, nor are customers whose bucket was 0 in
	// their first entry.
	Bucket(ctx context.Context, bucket Bucket) ([]domain.CustomerID, error)
}

// By is the kind of id that a search matched.
type By string

// The kinds of id.
const (
	ByCustomer By = "customer"
	ByOrder    By = "order"
	ByReturn   By = "return"
	ByLoyalty  By = "loyalty"
)

// Match is one thing with the id that was searched for.
type Match struct {
	By       By
	Customer domain.CustomerID
	// Order is the order itself, or the order of a return; otherwise empty.
	Order domain.OrderID
	// EventID and OccurredAt are of the first entry about it; both are zero for a customer.
	EventID    string
	OccurredAt time.Time
}

// Found is the result of a search: customers first, then orders, returns and adjustments, each in the order of the log. More than one
// order or adjustment matches only if several issuers used the same id, or several streams before ids had issuers.
type Found struct {
	Matches []Match
	// More is true if there are more than MaxMatches.
	More bool
	State
}

// MaxMatches is the most matches that a search returns.
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
	hash := sha256.Sum256([]byte(normalize(name)))
	return Bucket(1 + binary.BigEndian.Uint16(hash[:])%buckets)
}

// normalize ignores case and spacing.
func normalize(name string) string { return strings.ToLower(strings.Join(strings.Fields(name), " ")) }

// Named finds the customers with a proxy name, in any case and spacing. Several customers may share a name. Finding them is a reveal:
// the caller checks the permission first and records the reveal.
func Named(ctx context.Context, f Finder, proxies domain.Proxies, name string) ([]domain.CustomerID, error) {
	customers, err := f.Bucket(ctx, BucketOf(name))
	if err != nil {
		return nil, err
	}
	wanted := normalize(name)
	var buffer [32]byte
	return slices.DeleteFunc(customers, func(customer domain.CustomerID) bool {
		return !strings.EqualFold(string(proxies.Key(customer).AppendName(buffer[:0])), wanted)
	}), nil
}

// asked is of how many customers NamedBy looks for the names.
const asked = 8

var errEnough = errors.New("enough")

// NamedBy tells whether names in a ledger were made with proxies, where its checkpoint does not say: one of a few customers must be in the bucket
// of their name. A ledger without customers has no other names. With another secret it is true once in 500 ledgers.
func NamedBy(ctx context.Context, l interface {
	Reader
	Finder
}, proxies domain.Proxies) (bool, error) {
	var some []domain.CustomerID
	_, err := l.Accounts(ctx, InTurn(func(a Account, _ domain.Position) error {
		if !a.Forgotten { // they are in no bucket
			some = append(some, a.Customer)
		}
		if len(some) == asked {
			return errEnough
		}
		return nil
	}))
	if err != nil && !errors.Is(err, errEnough) {
		return false, err
	}
	for _, customer := range some {
		if same, err := l.Bucket(ctx, BucketOf(proxies.Key(customer).Name())); err != nil || slices.Contains(same, customer) {
			return err == nil, err
		}
	}
	return len(some) == 0, nil
}
