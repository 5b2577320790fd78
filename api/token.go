package api

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"loyalty/domain"
)

// Role is what a caller is to the programme. routes says what each may do.
type Role string

// The roles. An analyst works with the history, most of it from the command line, and sees nothing here but what was.
const (
	RoleCustomer Role = "customer"
	RoleChannel  Role = "channel"
	RoleSupport  Role = "support"
	RoleAnalyst  Role = "analyst"
)

// Claims is what a verified token says of its bearer.
type Claims struct {
	// Subject is a valid id: the customer's own, or that of a till, a website, a member of staff.
	Subject string
	Role    Role
	// Channel is where a channel sells and a customer buys; empty for others.
	Channel domain.Channel
	// Scope is what its bearer may do beyond their role, separated by spaces: award, reveal, audit.
	Scope string
	// Expires is when the token ends.
	Expires time.Time
	// proxyKey is a customer's, kept with the token where there are dashboards to be read by it; else it is zero.
	proxyKey domain.ProxyKey
}

// HasScope tells whether name is one of the scopes.
func (c Claims) HasScope(name string) bool {
	return slices.Contains(strings.Fields(c.Scope), name)
}

// check completes the claims and refuses, as domain.ErrInvalid, those no token may carry.
func (c Claims) check() (Claims, error) {
	_, badSubject := domain.ParseID[string]("sub", c.Subject)
	var badRole, badChannel error
	switch c.Role {
	case RoleChannel:
		_, badChannel = domain.ParseChannel("channel", string(c.Channel))
	case RoleCustomer:
		if c.Channel == "" {
			c.Channel = domain.Website
		}
		_, badChannel = domain.ParseChannel("channel", string(c.Channel))
	case RoleSupport, RoleAnalyst:
		c.Channel = ""
	default:
		badRole = domain.Invalid("role", "role_unknown", "the role must be customer, channel, support or analyst")
	}
	return c, domain.JoinInvalid(badSubject, badRole, badChannel)
}

// wireClaims is Claims as a token carries them.
type wireClaims struct {
	jwt.RegisteredClaims
	Role    Role           `json:"role"`
	Channel domain.Channel `json:"channel,omitempty"`
	Scope   string         `json:"scope,omitempty"`
}

// MinTokenSecret is the shortest secret accepted for HS256, in bytes, as RFC 7518 section 3.2 has it.
const MinTokenSecret = 32

func checkTokenSecret(secret []byte) error {
	if len(secret) < MinTokenSecret {
		return domain.Invalid("tokenSecret", "secret_too_short", fmt.Sprintf("the token secret needs at least %d bytes", MinTokenSecret))
	}
	return nil
}

// Mint signs a token with these claims by HS256, valid from now for ttl, which is at least a second; Expires is not
// looked at. It refuses what a Verifier with the same secret would, as domain.ErrInvalid.
func Mint(secret []byte, c Claims, ttl time.Duration, now time.Time) (string, error) {
	c, badClaims := c.check()
	var badTTL error
	if ttl < time.Second {
		badTTL = domain.Invalid("ttl", "ttl_out_of_range", "a token is valid for at least a second")
	}
	if err := domain.JoinInvalid(checkTokenSecret(secret), badClaims, badTTL); err != nil {
		return "", err
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, wireClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Subject:   c.Subject,
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(ttl)),
		},
		Role: c.Role, Channel: c.Channel, Scope: c.Scope,
	}).SignedString(secret)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return token, nil
}
