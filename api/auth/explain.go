package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Finding is what a Verifier makes of one part of a token, for people.
type Finding struct {
	// Part is a member of the header, "signature", or a claim by the name that it is looked for under.
	Part string `json:"part"`
	// Value is what the token has there, as JSON, cut to 120 characters; empty if there is nothing.
	Value string `json:"value,omitempty"`
	// Verdict says what that means here.
	Verdict string `json:"verdict"`
	Good    bool   `json:"good"`
}

// Explain says part by part what Verify makes of a token, and what Verify returns. The findings hold what the token says: they are for whoever
// has the token, and not for a log. All are good if and only if Verify accepts it.
func (v *Verifier) Explain(ctx context.Context, token string) ([]Finding, Claims, error) {
	wire := wireClaims{reader: v.reader}
	var e explanation
	parsed, _, malformed := jwt.NewParser().ParseUnverified(token, &wire)
	if malformed != nil || len(token) > maxToken {
		claims, err := v.Verify(ctx, token)
		e.add("token", nil, err, "")
		return e.findings, claims, err
	}
	payload, decoded := jwt.NewParser().DecodeSegment(strings.Split(token, ".")[1])
	members, exact := exactMembers(payload)
	if decoded != nil || exact != nil {
		e.add("claims", nil, errors.Join(decoded, exact), "")
	}
	v.explainHeader(ctx, &e, token, parsed) // before Verify, since an unknown key is looked up only now and then
	v.explainClaims(&e, &wire, members)
	claims, err := v.Verify(ctx, token)
	if v.refused.has(wire.claims.Subject) {
		e.add("list of refused subjects", nil, errors.New("the subject is on it"), "")
	}
	return e.findings, claims, err
}

// explanation collects findings.
type explanation struct{ findings []Finding }

func (e *explanation) add(part string, value any, bad error, good string) {
	f := Finding{Part: part, Verdict: good, Good: bad == nil}
	if value != nil {
		text, _ := json.Marshal(value) // it was read from JSON
		f.Value = string(text)
		if short := []rune(f.Value); len(short) > 120 {
			f.Value = string(short[:119]) + "…"
		}
	}
	if bad != nil {
		f.Verdict = bad.Error()
	}
	e.findings = append(e.findings, f)
}

// unless is an error with a text where good is not.
func unless(good bool, text string, values ...any) error {
	if good {
		return nil
	}
	return fmt.Errorf(text, values...)
}

func (v *Verifier) explainHeader(ctx context.Context, e *explanation, token string, parsed *jwt.Token) {
	header := parsed.Header
	if critical, has := header["crit"]; has {
		e.add("crit", critical, errors.New("it demands an extension"), "")
	}
	taken := slices.Contains(v.algorithms, parsed.Method.Alg())
	e.add("alg", header["alg"], unless(taken, "none of %s", strings.Join(v.algorithms, ", ")), "taken")
	e.add("typ", header["typ"], checkType(header), "that of an access token")
	key, unknown := v.keyOf(ctx, parsed)
	if v.secret == nil && taken {
		e.add("kid", header["kid"], unknown, "published by the identity provider")
	}
	if taken && unknown == nil {
		_, err := jwt.NewParser(jwt.WithoutClaimsValidation()).ParseWithClaims(token, jwt.MapClaims{}, func(*jwt.Token) (any, error) { return v.verifying(key), nil })
		e.add("signature", nil, unless(err == nil, "not made with that key"), "made with that key")
	}
}

func (v *Verifier) explainClaims(e *explanation, wire *wireClaims, members map[string]json.RawMessage) {
	r := v.reader
	told := map[string]bool{}
	claim := func(name string, bad error, good string) {
		raw, _ := at(members, name)
		if fault := wire.faultOf(name); fault != nil {
			bad, told[name] = fault, true
		}
		var value any
		if raw != nil {
			value = raw
		}
		e.add(name, value, bad, good)
	}
	now := v.now()
	if v.issuer == "" {
		claim("iss", nil, "any is accepted")
	} else {
		claim("iss", unless(wire.Issuer == v.issuer, "not the one that is expected, %s", v.issuer), "the one that is expected")
	}
	if len(v.audiences) == 0 {
		claim(r.Audience, nil, "any is accepted")
	} else {
		ours := slices.ContainsFunc(v.audiences, func(a string) bool { return slices.Contains(wire.Audience, a) })
		claim(r.Audience, unless(ours, "none that is expected: %s", strings.Join(v.audiences, ", ")), "for this system")
	}
	if wire.ExpiresAt == nil {
		claim("exp", errors.New("it is missing: a token ends some time"), "")
	} else {
		left := wire.ExpiresAt.Sub(now)
		claim("exp", unless(left+ClockLeeway > 0, "it ended %s ago", -left.Round(time.Second)), "ends in "+left.Round(time.Second).String())
	}
	if wire.NotBefore != nil {
		claim("nbf", unless(!now.Add(ClockLeeway).Before(wire.NotBefore.Time), "not valid before %s", wire.NotBefore.UTC().Format(time.RFC3339)), "past")
	}
	is := &wire.claims
	roles := strings.Join(r.Role, ", ")
	bad := wire.faultOf(roles)
	for _, name := range r.Role {
		claim(name, bad, fmt.Sprintf("the role is %s", is.Role))
	}
	told[roles] = true
	if is.Role == RoleChannel || is.Role == RoleCustomer {
		claim(r.Channel, nil, fmt.Sprintf("the channel is %s", is.Channel))
	}
	people, machines := "rights of a person", "not read: the rights of people are in "+r.Permissions
	if is.Role == RoleChannel {
		people, machines = "not read: the rights of channels are in "+r.Scope, "rights of a channel"
	}
	claim(r.Permissions, nil, people)
	if r.Scope != r.Permissions {
		claim(r.Scope, nil, machines)
	}
	claim(wire.subject, nil, "the subject is "+is.Subject)
	for _, fault := range wire.faults {
		if !told[fault.claim] {
			told[fault.claim] = true
			raw, _ := at(members, fault.claim)
			e.add(fault.claim, raw, fault.error, "")
		}
	}
}

func (w *wireClaims) faultOf(claim string) error {
	for _, fault := range w.faults {
		if fault.claim == claim {
			return fault.error
		}
	}
	return nil
}

// Bearer says who a verified token's bearer is, for people.
func (c Claims) Bearer() string {
	who := string(c.Role) + " " + c.Subject
	if c.Channel != "" {
		who += ", " + string(c.Channel)
	}
	if c.Rights == "" {
		return who + ", with no right beyond the role's"
	}
	return who + ", with the rights " + c.Rights
}
