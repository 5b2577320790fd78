package domain

import "strings"

// Issuer is who chooses ids: a channel, support, or a customer for their own orders. Ids are told apart by their issuer, so nobody can
// use up, block or probe the ids of another.
type Issuer string

// Staff is the issuer of the ids that support chooses.
const Staff Issuer = "staff"

// ofCustomer begins the issuer of the ids that a customer chooses.
const ofCustomer = "customer."

// Issuer is the issuer of the ids that a channel chooses: all its tills, pages and apps.
func (c Channel) Issuer() Issuer { return Issuer(c) }

// Issuer is the issuer of the ids that a customer chooses.
func (id CustomerID) Issuer() Issuer { return ofCustomer + Issuer(id) }

// MaxFullIDLength is the length of the longest full id, in characters.
const MaxFullIDLength = len(ofCustomer) + MaxIDLength + 1 + MaxIDLength

// FullID is an id as it is stored, issuer first: store.o-1, staff.r-1, customer.alice.o-1. No id that a caller chooses has a dot, so a
// full id never equals one that was stored before ids had issuers: those are bare, as if of the zero Issuer.
func FullID[T ~string](issuer Issuer, id T) T {
	if issuer == "" {
		return id
	}
	return T(issuer) + "." + id
}

// SplitID is the reverse of FullID.
func SplitID[T ~string](full T) (Issuer, T) {
	dot := strings.LastIndexByte(string(full), '.')
	if dot < 0 {
		return "", full
	}
	return Issuer(full[:dot]), full[dot+1:]
}

// FullIDs are the ids as stored that may be meant by one as written. A full id is meant itself. A bare one is, too, and so is that of every
// channel, of support and of the customers named.
func FullIDs[T ~string](written T, of ...CustomerID) []T {
	ids := []T{written}
	if issuer, _ := SplitID(written); issuer != "" {
		return ids
	}
	for _, issuer := range []Issuer{Website.Issuer(), Mobile.Issuer(), Store.Issuer(), Staff} {
		ids = append(ids, FullID(issuer, written))
	}
	for _, customer := range of {
		ids = append(ids, FullID(customer.Issuer(), written))
	}
	return ids
}

// ParseFullID accepts a full id, and a bare one as ParseID does. The error is as that of ParseID.
func ParseFullID[T ~string](field, text string) (T, error) {
	issuer, id := SplitID(text)
	if _, err := ParseID[T](field, id); err != nil {
		return "", err
	}
	if !issuer.valid() || FullID(issuer, id) != text {
		return "", Invalid(field, "id_malformed", "what stands before the dot of an id is website, mobile, store, staff, or customer. and a customer's id")
	}
	return T(text), nil
}

// valid tells whether this is the issuer of some id.
func (i Issuer) valid() bool {
	if customer, own := strings.CutPrefix(string(i), ofCustomer); own {
		_, err := ParseID[CustomerID]("customer", customer)
		return err == nil
	}
	_, err := ParseChannel("channel", string(i))
	return err == nil || i == Staff || i == ""
}

// LogID is how errors and logs name an id: without the customer who chose it.
func LogID[T ~string](full T) T {
	if issuer, id := SplitID(full); strings.HasPrefix(string(issuer), ofCustomer) {
		return id
	}
	return full
}
