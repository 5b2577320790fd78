package auth

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"loyalty/domain"
)

// Mapping says where this system's claims are in the tokens of an identity provider, and in which words. A claim is named as it is spelt at the
// top level, or by a JSON Pointer (RFC 6901), which begins with a slash, further down: /realm_access/roles. An empty name is the default,
// which stands behind it.
type Mapping struct {
	Role        []string // role: texts, or lists, with one known role in all of them together
	Channel     string   // channel
	Permissions string   // permissions: the rights of people, a list or words
	Scope       string   // scope: the rights of channels, a list or words
	Customer    string   // sub: the id of a customer
	Subject     []string // sub: who staff and channels are; the first of the claims that a token has
	Audience    string   // aud: whom a token is for, a text or a list
	// Roles are the provider's words for roles, each with customer, support, analyst or channel, the last with where it sells (channel:store)
	// unless a claim says that. The word * stands for whoever has none of the others; only customer may be given to it. Without any, the
	// words are this system's own.
	Roles map[string]string
	// Rights are the provider's words for rights, each with one of this system's. Without any, the words are this system's own.
	Rights map[string]string
}

// withDefaults is the mapping with the names that claims have unless they are mapped.
func (m Mapping) withDefaults() Mapping {
	for _, claim := range []struct {
		name      *string
		otherwise string
	}{
		{&m.Channel, "channel"}, {&m.Permissions, "permissions"}, {&m.Scope, "scope"}, {&m.Customer, "sub"}, {&m.Audience, "aud"},
	} {
		*claim.name = cmp.Or(*claim.name, claim.otherwise)
	}
	if len(m.Role) == 0 {
		m.Role = []string{"role"}
	}
	if len(m.Subject) == 0 {
		m.Subject = []string{"sub"}
	}
	return m
}

// granted is what a word for a role stands for.
type granted struct {
	role    Role
	channel domain.Channel
}

// anyOther is the word for whoever has none of the other roles.
const anyOther = "*"

var ownRoles = map[string]granted{
	string(RoleCustomer): {role: RoleCustomer}, string(RoleChannel): {role: RoleChannel}, string(RoleSupport): {role: RoleSupport}, string(RoleAnalyst): {role: RoleAnalyst},
}

// roleTable is the table from words to roles. A table that can't be is domain.ErrInvalid.
func (m Mapping) roleTable() (map[string]granted, error) {
	if len(m.Roles) == 0 {
		return ownRoles, nil
	}
	table := map[string]granted{}
	for word, ours := range m.Roles {
		name, channel, _ := strings.Cut(ours, ":")
		is, known := ownRoles[name]
		if !known {
			return nil, domain.Invalid("roleWords", "role_unknown", fmt.Sprintf("%q stands for %q, which is none of customer, channel, support and analyst", word, ours))
		}
		if channel != "" || strings.HasSuffix(ours, ":") {
			var err error
			if is.channel, err = domain.ParseChannel("roleWords", channel); err != nil || is.role != RoleChannel && is.role != RoleCustomer {
				return nil, domain.Invalid("roleWords", "channel_unknown", fmt.Sprintf("%q stands for %q: behind channel or customer and a colon is website, mobile or store", word, ours))
			}
		}
		if word == "" || word == anyOther && is.role != RoleCustomer {
			return nil, domain.Invalid("roleWords", "role_unknown", "whoever has no role here can only be a customer")
		}
		table[word] = is
	}
	return table, nil
}

// rightTable is the table from words to rights, nil if the words are our own. A table that can't be is domain.ErrInvalid.
func (m Mapping) rightTable() (map[string]string, error) {
	for word, right := range m.Rights {
		if word == "" || !slices.Contains(rights, right) {
			return nil, domain.Invalid("rightWords", "right_unknown", fmt.Sprintf("%q stands for %q, which is none of %s", word, right, strings.Join(rights, ", ")))
		}
	}
	return m.Rights, nil
}

// claimReader reads claims by a Mapping.
type claimReader struct {
	Mapping
	roles  map[string]granted
	rights map[string]string
}

func newClaimReader(m Mapping) (r *claimReader, err error) {
	r = &claimReader{Mapping: m.withDefaults()}
	var badRoles, badRights error
	r.roles, badRoles = m.roleTable()
	r.rights, badRights = m.rightTable()
	return r, domain.JoinInvalid(badRoles, badRights)
}

// at is the value of the claim of a name, nil if there is none.
func at(members map[string]json.RawMessage, name string) (json.RawMessage, error) {
	path, isPointer := strings.CutPrefix(name, "/")
	if !isPointer {
		return members[name], nil
	}
	first, rest, deeper := strings.Cut(path, "/")
	value := members[strings.NewReplacer("~1", "/", "~0", "~").Replace(first)]
	if !deeper || value == nil {
		return value, nil
	}
	inner, err := exactMembers(value)
	if err != nil {
		return nil, fmt.Errorf("within %.40q: %w", first, err)
	}
	return at(inner, "/"+rest)
}

// roleOf is the role that words mean of which those that are known mean one role.
func (r *claimReader) roleOf(words []string) (granted, error) {
	found := map[granted]bool{}
	for _, word := range words {
		if is, known := r.roles[word]; known && word != anyOther {
			found[is] = true
		}
	}
	switch other, hasOther := r.roles[anyOther]; {
	case len(found) == 1:
		for is := range found {
			return is, nil
		}
	case len(found) > 1:
		return granted{}, fmt.Errorf("the list has several of %s", r.words())
	case hasOther:
		return other, nil
	case len(words) == 0:
		return granted{}, fmt.Errorf("it is missing: %s", r.words())
	}
	return granted{}, fmt.Errorf("none of it is %s", r.words())
}

// subjectOf is the claim that names a bearer of a role.
func (r *claimReader) subjectOf(role Role, members map[string]json.RawMessage) string {
	if role == RoleCustomer {
		return r.Customer
	}
	for _, name := range r.Subject {
		if raw, _ := at(members, name); raw != nil {
			return name
		}
	}
	return r.Subject[0]
}

// words are the words for roles, for an error.
func (r *claimReader) words() string {
	if len(r.Roles) == 0 {
		return "customer, channel, support or analyst"
	}
	return strings.Join(slices.Sorted(maps.Keys(r.Roles)), ", ")
}

// textsOf are the texts of a claim that is one or a list.
func textsOf(raw json.RawMessage) ([]string, error) {
	if raw == nil || string(raw) == "null" {
		return nil, nil
	}
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}, nil
	}
	var list []string
	if json.Unmarshal(raw, &list) != nil {
		return nil, errNoTexts
	}
	return list, nil
}

var errNoTexts = errors.New("it is neither a text nor a list of texts")

// rightsOf are the rights of a claim that is a text with spaces between its words (RFC 8693, section 4.2), or a list: separated by spaces.
func (r *claimReader) rightsOf(raw json.RawMessage) (string, error) {
	words, err := textsOf(raw)
	if err != nil {
		return "", err
	}
	if len(words) == 1 && raw[0] == '"' {
		words = strings.Fields(words[0])
	}
	var found []string
	for _, word := range words {
		right, known := r.rights[word]
		switch {
		case known:
			found = append(found, right)
		case r.rights != nil: // a word of others
		case len(strings.Fields(word)) != 1:
			return "", errors.New("a word of the list is empty or has a space")
		default:
			found = append(found, word)
		}
	}
	return strings.Join(found, " "), nil
}
