package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// wireClaims is Claims as a token carries them. Names are exact, also in case (RFC 7519, section 10.1.1), and each occurs once: a token that has
// one twice, in any spelling, says two things.
type wireClaims struct {
	jwt.RegisteredClaims
	reader *claimReader
	claims Claims
	// fault is what is wrong with the claims, and names them.
	fault error
}

// UnmarshalJSON reads the claims of a token, each by itself. What is wrong with one is no error here but of Validate, which names it.
func (w *wireClaims) UnmarshalJSON(data []byte) error {
	members, err := exactMembers(data)
	if err != nil {
		w.fault = err
		return nil
	}
	var faults []error
	value := func(name string) json.RawMessage {
		raw, err := at(members, name)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
		}
		return raw
	}
	read := func(name string, into any) {
		if raw := value(name); raw != nil && json.Unmarshal(raw, into) != nil {
			faults = append(faults, fmt.Errorf("%s: not of the type that this claim has", name))
		}
	}
	rights := func(name string) string {
		words, err := w.reader.rightsOf(value(name))
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
		}
		return words
	}
	read("iss", &w.Issuer)
	read(w.reader.Audience, &w.Audience)
	read("exp", &w.ExpiresAt)
	read("nbf", &w.NotBefore)
	read("iat", &w.IssuedAt)
	is, err := w.reader.roleOf(value(w.reader.Role))
	if err != nil {
		faults = append(faults, fmt.Errorf("%s: %w", w.reader.Role, err))
	}
	c := &w.claims
	if c.Role, c.Channel = is.role, is.channel; c.Channel == "" {
		read(w.reader.Channel, &c.Channel)
	}
	subject := w.reader.Subject
	if c.Role == RoleCustomer {
		subject = w.reader.Customer
	}
	read(subject, &c.Subject)
	// The rights of people come from a claim that no request can ask the identity provider for; the scope of a token is what its client asked for,
	// and so gives rights to machines alone, whose clients are set up by hand.
	people, machines := rights(w.reader.Permissions), rights(w.reader.Scope)
	if c.Rights = people; c.Role == RoleChannel {
		c.Rights = machines
	}
	if w.ExpiresAt != nil {
		c.Expires = w.ExpiresAt.Time
	}
	faults = append(faults, ofOtherKinds(members)...)
	if len(faults) == 0 {
		// Only of whole claims can be said whether such a bearer can be.
		var err error
		w.claims, err = c.check(subject)
		faults = append(faults, err)
	}
	w.fault = errors.Join(faults...)
	return nil
}

// ofOtherKinds says of claims that no access token has which token has them: they say who somebody is to whom they signed in to (OpenID Connect
// Core 1.0, sections 2 and 3.1.3.6), or tell of an event (RFC 8417, section 2.2).
func ofOtherKinds(members map[string]json.RawMessage) (faults []error) {
	for _, other := range []struct{ claim, value, is string }{
		{"nonce", "", "an ID token"}, {"at_hash", "", "an ID token"}, {"events", "", "a security event"},
		{"token_use", `"id"`, "an ID token"}, {"typ", `"ID"`, "an ID token"}, // as Cognito and Keycloak mark them
	} {
		if raw, has := members[other.claim]; has && (other.value == "" || string(raw) == other.value) {
			faults = append(faults, fmt.Errorf("%s: this is %s, and no access token", other.claim, other.is))
		}
	}
	return faults
}

// Validate is for package jwt, which calls it once the signature has been checked.
func (w *wireClaims) Validate() error { return w.fault }

// exactMembers are the members of a JSON object by their names. It is an error if two differ in case at most.
func exactMembers(data []byte) (map[string]json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if first, err := decoder.Token(); err != nil || first != json.Delim('{') {
		return nil, errors.New("the claims are no JSON object")
	}
	members, spelt := map[string]json.RawMessage{}, map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		name, is := token.(string)
		var raw json.RawMessage
		if err != nil || !is || decoder.Decode(&raw) != nil {
			return nil, errors.New("the claims are no JSON object")
		}
		folded := strings.ToLower(name)
		if spelt[folded] {
			return nil, fmt.Errorf("%.40q: the claim occurs twice", name)
		}
		spelt[folded], members[name] = true, raw
	}
	return members, nil
}
