package domain

import (
	"fmt"
	"strings"
)

// MaxIDLength is the longest id accepted, in characters.
const MaxIDLength = 64

// CustomerID is an opaque id, 1–64 of A-Za-z0-9_-. Only other systems know which person it belongs to.
type CustomerID string

// OrderID is the id of an order: 1–64 of A-Za-z0-9_- as its issuer chose it, and a full id as it is stored.
type OrderID string

// ReturnID is the id of one return within an order, in the same two forms.
type ReturnID string

// LoyaltyID is the id of one adjustment of a customer's points, in the same two forms.
type LoyaltyID string

// RevealID is the id of one reveal of the customers behind a proxy name, in the same two forms.
type RevealID string

// ParseID accepts 1–64 characters of A-Za-z0-9_-, the form of every id that somebody chooses. The error names field and has the code id_missing,
// id_too_long or id_malformed.
func ParseID[T ~string](field, text string) (T, error) {
	if text == "" {
		return "", Invalid(field, "id_missing", "an id of 1 to 64 characters is needed")
	}
	if len(text) > MaxIDLength {
		return "", Invalid(field, "id_too_long", fmt.Sprintf("an id has at most %d characters", MaxIDLength))
	}
	for i := range len(text) {
		c := text[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-') {
			return "", Invalid(field, "id_malformed", "an id may hold A-Z, a-z, 0-9, _ and - only")
		}
	}
	return T(text), nil
}

// ParseActor accepts who acts as identity providers name them: 1–64 characters of A-Za-z0-9_-|@.: of which the first is none of the last four, so that
// no spreadsheet takes it for a formula. The error is as that of ParseID.
func ParseActor(field, text string) (string, error) {
	plain := strings.Map(func(r rune) rune {
		if strings.ContainsRune("|@.:", r) {
			return '_'
		}
		return r
	}, text)
	if _, err := ParseID[string](field, plain); err != nil {
		if text != "" && len(text) <= MaxIDLength {
			err = Invalid(field, "id_malformed", "who acts may be named with A-Z, a-z, 0-9, _, -, |, @, . and : only")
		}
		return "", err
	}
	if strings.ContainsRune("|@.:", rune(text[0])) {
		return "", Invalid(field, "id_malformed", "the name of who acts does not begin with |, @, . or :")
	}
	return text, nil
}

// Channel is where a customer bought.
type Channel string

// The channels of the shop.
const (
	Website Channel = "website"
	Mobile  Channel = "mobile"
	Store   Channel = "store"
)

// ParseChannel accepts website, mobile and store. The error names field.
func ParseChannel(field, text string) (Channel, error) {
	switch c := Channel(text); c {
	case Website, Mobile, Store:
		return c, nil
	}
	return "", Invalid(field, "channel_unknown", "the channel must be website, mobile or store")
}
