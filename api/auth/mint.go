package auth

import (
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"loyalty/domain"
)

// mintedClaims is Claims as a minted token carries them.
type mintedClaims struct {
	jwt.RegisteredClaims
	Role    Role           `json:"role"`
	Channel domain.Channel `json:"channel,omitempty"`
	// Scope is what a machine may do, Permissions what a person may.
	Scope       string   `json:"scope,omitempty"`
	Permissions []string `json:"permissions,omitempty"`
}

// MinTokenSecret is the shortest secret accepted for HS256, in bytes (RFC 7518, section 3.2).
const MinTokenSecret = 32

func checkTokenSecret(secret []byte) error {
	if len(secret) < MinTokenSecret {
		return domain.Invalid("tokenSecret", "secret_too_short", fmt.Sprintf("the token secret needs at least %d bytes", MinTokenSecret))
	}
	return nil
}

// Mint is Settings.Mint for the zero Settings.
func Mint(secret []byte, c Claims, ttl time.Duration, now time.Time) (string, error) {
	return Settings{}.Mint(secret, c, ttl, now)
}

// Mint signs a token with these claims by HS256, for a Verifier with the same secret, Issuer and Audiences, and claims that are not mapped. It is
// valid from now for ttl, which is at least a second; c.Expires is ignored. Claims that no Verifier would accept are domain.ErrInvalid.
func (s Settings) Mint(secret []byte, c Claims, ttl time.Duration, now time.Time) (string, error) {
	c, badClaims := c.check("sub", "channel")
	var badTTL error
	if ttl < time.Second {
		badTTL = domain.Invalid("ttl", "ttl_out_of_range", "a token is valid for at least a second")
	}
	if err := domain.JoinInvalid(checkTokenSecret(secret), badClaims, badTTL); err != nil {
		return "", err
	}
	minted := mintedClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    s.Issuer,
			Subject:   c.Subject,
			Audience:  s.Audiences,
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(ttl)),
		},
		Role: c.Role, Channel: c.Channel,
	}
	if c.Role == RoleChannel {
		minted.Scope = c.Rights
	} else {
		minted.Permissions = strings.Fields(c.Rights)
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, minted).SignedString(secret)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return token, nil
}
