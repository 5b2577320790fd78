package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"loyalty/domain"
)

// DefaultPermissions is the claim that holds the rights of people, unless a setting says otherwise.
const DefaultPermissions = "permissions"

// wireClaims is Claims as a token carries them. Names are exact, also in case (RFC 7519, section 10.1.1), and each occurs once: a token that has
// one twice, in any spelling, says two things.
type wireClaims struct {
	jwt.RegisteredClaims
	role    Role
	channel domain.Channel
	// scope and permissions are words separated by spaces.
	scope, permissions string
	// permissionsClaim is the name of the claim that permissions are read from.
	permissionsClaim string
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
	read := func(name string, into any) {
		if raw, known := members[name]; known {
			if err := json.Unmarshal(raw, into); err != nil {
				faults = append(faults, fmt.Errorf("%s: not of the type that this claim has", name))
			}
		}
	}
	words := func(name string) string {
		text, err := wordsOf(members[name])
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
		}
		return text
	}
	read("sub", &w.Subject)
	read("iss", &w.Issuer)
	read("aud", &w.Audience)
	read("exp", &w.ExpiresAt)
	read("nbf", &w.NotBefore)
	read("iat", &w.IssuedAt)
	read("channel", &w.channel)
	w.scope, w.permissions = words("scope"), words(w.permissionsClaim)
	if w.role, err = roleOf(members["role"]); err != nil {
		faults = append(faults, fmt.Errorf("role: %w", err))
	}
	// Only ID tokens have these (OpenID Connect Core 1.0, sections 2 and 3.1.3.6): they say who somebody is, to whom they signed in to.
	for _, name := range []string{"nonce", "at_hash"} {
		if _, has := members[name]; has {
			faults = append(faults, fmt.Errorf("%s: this is an ID token, and no access token", name))
		}
	}
	w.fault = errors.Join(faults...)
	return nil
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

// roleOf is the role that a claim holds: one, or a list in which one is a role of this system.
func roleOf(raw json.RawMessage) (Role, error) {
	if raw == nil {
		return "", errors.New("it is missing: customer, channel, support or analyst")
	}
	var one Role
	if json.Unmarshal(raw, &one) == nil {
		return one, nil
	}
	var list []Role
	if err := json.Unmarshal(raw, &list); err != nil {
		return "", errors.New("it is neither a text nor a list of texts")
	}
	known := slices.Compact(slices.Sorted(slices.Values(slices.DeleteFunc(list, func(r Role) bool {
		return !slices.Contains([]Role{RoleCustomer, RoleChannel, RoleSupport, RoleAnalyst}, r)
	}))))
	switch len(known) {
	case 0:
		return "", errors.New("none of the list is customer, channel, support or analyst")
	case 1:
		return known[0], nil
	}
	return "", errors.New("the list has several of customer, channel, support and analyst")
}

// wordsOf are the words of a claim that is a text with spaces between them (RFC 8693, section 4.2), or a list.
func wordsOf(raw json.RawMessage) (string, error) {
	if raw == nil || string(raw) == "null" {
		return "", nil
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	var list []string
	if err := json.Unmarshal(raw, &list); err != nil {
		return "", errors.New("it is neither a text nor a list of texts")
	}
	for _, word := range list {
		if word == "" || strings.ContainsFunc(word, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' }) {
			return "", errors.New("a word of the list is empty or has a space")
		}
	}
	return strings.Join(list, " "), nil
}

// claims are what the token says. The rights of people come from a claim that no request can ask the identity provider for; the scope of a
// token is what its client asked for, and so gives rights to machines alone, whose clients are set up by hand.
func (w *wireClaims) claims() Claims {
	c := Claims{Subject: w.Subject, Role: w.role, Channel: w.channel, Rights: w.permissions, Expires: w.ExpiresAt.Time}
	if c.Role == RoleChannel {
		c.Rights = w.scope
	}
	return c
}
