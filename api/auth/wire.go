package auth

import (
	"bytes"
	"cmp"
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
	// subject is the claim that the subject is from.
	subject string
	// faults are what is wrong with the claims.
	faults []claimFault
}

// claimFault is what is wrong with a claim.
type claimFault struct {
	claim string
	error
}

// Error names the claim.
func (f claimFault) Error() string {
	if f.claim == "" {
		return f.error.Error()
	}
	return f.claim + ": " + f.error.Error()
}

// UnmarshalJSON reads the claims of a token, each by itself. What is wrong with one is no error here but of Validate, which names it.
func (w *wireClaims) UnmarshalJSON(data []byte) error {
	members, err := exactMembers(data)
	if err != nil {
		w.faults = []claimFault{{"", err}}
		return nil
	}
	fault := func(claim string, err error) {
		if err != nil {
			w.faults = append(w.faults, claimFault{claim, err})
		}
	}
	value := func(name string) json.RawMessage {
		raw, err := at(members, name)
		fault(name, err)
		return raw
	}
	read := func(name string, into any) {
		if raw := value(name); raw != nil && json.Unmarshal(raw, into) != nil {
			fault(name, errors.New("not of the type that this claim has"))
		}
	}
	rights := func(name string) string {
		words, err := w.reader.rightsOf(value(name))
		fault(name, err)
		return words
	}
	read("iss", &w.Issuer)
	read(w.reader.Audience, &w.Audience)
	read("exp", &w.ExpiresAt)
	read("nbf", &w.NotBefore)
	read("iat", &w.IssuedAt)
	var words []string
	var badRole error
	for _, name := range w.reader.Role {
		texts, err := textsOf(value(name))
		words, badRole = append(words, texts...), cmp.Or(badRole, err)
	}
	is, err := w.reader.roleOf(words)
	fault(strings.Join(w.reader.Role, ", "), cmp.Or(badRole, err))
	c := &w.claims
	if c.Role, c.Channel = is.role, is.channel; c.Channel == "" {
		read(w.reader.Channel, &c.Channel)
	}
	w.subject = w.reader.subjectOf(c.Role, members)
	read(w.subject, &c.Subject)
	// The rights of people come from a claim that no request can ask the identity provider for; the scope of a token is what its client asked for,
	// and so gives rights to machines alone, whose clients are set up by hand.
	people, machines := rights(w.reader.Permissions), rights(w.reader.Scope)
	if c.Rights = people; c.Role == RoleChannel {
		c.Rights = machines
	}
	if w.ExpiresAt != nil {
		c.Expires = w.ExpiresAt.Time
	}
	for _, other := range ofOtherKinds {
		if raw, has := members[other.claim]; has && (other.value == "" || string(raw) == other.value) {
			fault(other.claim, fmt.Errorf("this is %s, and no access token", other.is))
		}
	}
	if len(w.faults) == 0 {
		// Only of whole claims can be said whether such a bearer can be.
		w.claims, err = c.check(w.subject, w.reader.Channel)
		fault("", err)
	}
	return nil
}

// ofOtherKinds are claims that no access token has, and which token has them: they say who somebody is to whom they signed in to (OpenID Connect
// Core 1.0, sections 2 and 3.1.3.6), or tell of an event (RFC 8417, section 2.2).
var ofOtherKinds = []struct{ claim, value, is string }{
	{"nonce", "", "an ID token"}, {"at_hash", "", "an ID token"}, {"events", "", "a security event"},
	{"token_use", `"id"`, "an ID token"}, {"typ", `"ID"`, "an ID token"}, // as Cognito and Keycloak mark them
}

// Validate is for package jwt, which calls it once the signature has been checked.
func (w *wireClaims) Validate() error {
	var all []error
	for _, fault := range w.faults {
		all = append(all, fault)
	}
	return errors.Join(all...)
}

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
