package auth

import (
	"slices"
	"strings"
	"time"

	"loyalty/api/auth/keys"
	"loyalty/domain"
)

// Role is what a caller is to the programme. The routes of package api say what each may do.
type Role string

// The roles. An analyst sees the past only, most of it from the command line.
const (
	RoleCustomer Role = "customer"
	RoleChannel  Role = "channel"
	RoleSupport  Role = "support"
	RoleAnalyst  Role = "analyst"
)

// The rights that somebody may have beyond their role's.
const (
	RightOrder  = "order"
	RightAward  = "award"
	RightReveal = "reveal"
	RightAudit  = "audit"
)

// rights are all that there are.
var rights = []string{RightOrder, RightAward, RightReveal, RightAudit}

// Claims is what a verified token says about its bearer.
type Claims struct {
	// Subject is a customer's id, or an actor: a till, a website or a member of staff.
	Subject string
	Role    Role
	// Channel is where a channel sells, or where a customer buys. It is empty for other roles.
	Channel domain.Channel
	// Rights are those beyond the role's, separated by spaces.
	Rights string
	// Expires is when the token ends.
	Expires time.Time
	// proxyKey is set by an Authenticator.
	proxyKey domain.ProxyKey
	// key is what the token is signed with; nil for a shared secret.
	key *keys.Key
}

// HasRight tells whether name is one of the rights.
func (c Claims) HasRight(name string) bool {
	return slices.Contains(strings.Fields(c.Rights), name)
}

// Issuer is whose the ids are that the bearer chooses. It is empty for an analyst, who chooses none.
func (c Claims) Issuer() domain.Issuer {
	switch c.Role {
	case RoleCustomer:
		return domain.CustomerID(c.Subject).Issuer()
	case RoleChannel:
		return c.Channel.Issuer()
	case RoleSupport:
		return domain.Staff
	}
	return ""
}

// SeesNames tells whether the bearer may see proxy names. Support asks for customers by their ids, and so would learn who is behind each name:
// that takes the right to reveal.
func (c Claims) SeesNames() bool { return c.Role != RoleSupport || c.HasRight(RightReveal) }

// ProxyKey is the customer's key on the leaderboard. It is zero for other roles, and in a process without a leaderboard. It is kept
// with the verified token, because computing it for each dashboard costs more than finding the row.
func (c Claims) ProxyKey() domain.ProxyKey { return c.proxyKey }

// check completes the claims, whose subject and channel are from the claims of these names. Claims that no token may carry are domain.ErrInvalid.
func (c Claims) check(subject, channel string) (Claims, error) {
	var badSubject, badRole, badChannel error
	if c.Role == RoleCustomer {
		_, badSubject = domain.ParseID[domain.CustomerID](subject, c.Subject)
	} else {
		_, badSubject = domain.ParseActor(subject, c.Subject)
	}
	switch c.Role {
	case RoleChannel:
		_, badChannel = domain.ParseChannel(channel, string(c.Channel))
	case RoleCustomer:
		if c.Channel == "" {
			c.Channel = domain.Website
		}
		_, badChannel = domain.ParseChannel(channel, string(c.Channel))
	case RoleSupport, RoleAnalyst:
		c.Channel = ""
	default:
		badRole = domain.Invalid("role", "role_unknown", "the role must be customer, channel, support or analyst")
	}
	return c, domain.JoinInvalid(badSubject, badRole, badChannel)
}
