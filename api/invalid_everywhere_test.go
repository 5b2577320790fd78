package api_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"loyalty/api/auth"

	"github.com/golang-jwt/jwt/v5"
)

// invalidTypes is what no route accepts as a kind of body.
func invalidTypes(route exchange) []exchange {
	typed := func(name, contentType string) exchange {
		x := route
		x.name, x.status, x.code, x.header = name, 415, "content_type_unsupported", http.Header{"Content-Type": {contentType}}
		return x
	}
	right, wrong := "application/json", "application/x-ndjson"
	if route.path == "/orders" {
		right, wrong = wrong, right
	}
	compressed := typed("compressed", right)
	compressed.header["Content-Encoding"] = []string{"gzip"}
	return []exchange{
		typed("a form", "application/x-www-form-urlencoded"), typed("no content type", ""), typed("a content type that is none", ";;"),
		typed("another charset", right+"; charset=iso-8859-1"), typed("that of another route", wrong), compressed,
	}
}

// invalidBodies is what no route accepts as a body.
func invalidBodies(route exchange) []exchange {
	large := route
	large.name, large.body, large.status, large.code = "65,537 bytes", route.body+strings.Repeat(" ", 64<<10+1-len(route.body)), 413, "body_too_large"
	streamed := large
	streamed.name, streamed.chunked = "65,537 bytes that don't say so beforehand", true
	all := []exchange{large, streamed}
	for name, body := range map[string]string{
		"truncated": route.body[:len(route.body)-2], "empty": "", "blank": " ", "null": "null", "an array": "[" + route.body + "]",
		"two objects": route.body + route.body, "something after it": route.body + "x", "not UTF-8": strings.Replace(route.body, "\"", "\"\xff", 1),
		"a comma too many": route.body[:len(route.body)-1] + ",}",
	} {
		x := bad(route, name, body, "json_malformed", "")
		x.header = http.Header{"Content-Type": {"application/json"}}
		all = append(all, x)
	}
	return all
}

// deniedCallers is how no route lets anyone in.
func deniedCallers(t *testing.T, route exchange) []exchange {
	sign := func(method jwt.SigningMethod, key any, change func(jwt.MapClaims)) string {
		claims := jwt.MapClaims{
			"sub": route.as.Subject, "role": string(route.as.Role), "channel": string(route.as.Channel), "exp": time.Now().Add(time.Hour).Unix(),
		}
		if change != nil {
			change(claims)
		}
		token, err := jwt.NewWithClaims(method, claims).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + token
	}
	with := func(name, authorization, code string) exchange {
		x := route
		x.name, x.status, x.code, x.header = name, 401, code, http.Header{"Authorization": {authorization}}
		return x
	}
	claim := func(name string, change func(jwt.MapClaims)) exchange {
		return with(name, sign(jwt.SigningMethodHS256, tokenSecret, change), "token_invalid")
	}
	nobody := route
	nobody.name, nobody.status, nobody.code, nobody.as = "no token", 401, "token_missing", auth.Claims{}
	twice := with("two tokens", sign(jwt.SigningMethodHS256, tokenSecret, nil), "token_malformed")
	twice.header["Authorization"] = append(twice.header["Authorization"], twice.header["Authorization"][0])
	no := route
	no.name, no.status, no.code, no.as = "an analyst", 403, "forbidden", analyst
	if route.path == "/seasons" || route.as == analyst {
		no.name, no.as = "a channel", till
	}
	all := []exchange{nobody, twice}
	if route.path != "/session" {
		all = append(all, no)
	}
	if route.method == "POST" {
		elsewhere := route
		elsewhere.name, elsewhere.status, elsewhere.code, elsewhere.as = "with a session, from a page of another site", 403, "cross_origin", auth.Claims{}
		elsewhere.header = maps.Clone(route.header)
		if elsewhere.header == nil {
			elsewhere.header = make(http.Header)
		}
		elsewhere.header["Cookie"], elsewhere.header["Sec-Fetch-Site"] = []string{"loyalty_session=" + mint(t, route.as)}, []string{"cross-site"}
		all = append(all, elsewhere)
	}
	return append(all,
		with("another scheme", "Basic YW5uOmFubg==", "token_malformed"),
		with("an empty token", "Bearer ", "token_malformed"),
		with("garbage", "Bearer garbage", "token_malformed"),
		with("a very long token", sign(jwt.SigningMethodHS256, tokenSecret, func(c jwt.MapClaims) { c["more"] = strings.Repeat("a", 9000) }), "token_malformed"),
		with("expired", sign(jwt.SigningMethodHS256, tokenSecret, func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Hour).Unix() }), "token_expired"),
		with("unsigned", sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil), "token_invalid"),
		with("signed with another secret", sign(jwt.SigningMethodHS256, []byte("some other secret of 32 or more bytes"), nil), "token_invalid"),
		with("signed by another algorithm", sign(jwt.SigningMethodHS512, tokenSecret, nil), "token_invalid"),
		claim("no expiry", func(c jwt.MapClaims) { delete(c, "exp") }),
		claim("not valid yet", func(c jwt.MapClaims) { c["nbf"] = time.Now().Add(time.Hour).Unix() }),
		claim("no subject", func(c jwt.MapClaims) { delete(c, "sub") }),
		claim("a subject that is no id", func(c jwt.MapClaims) { c["sub"] = "@ann" }),
		claim("no role", func(c jwt.MapClaims) { delete(c, "role") }),
		claim("a role twice", func(c jwt.MapClaims) { c["Role"] = "support" }),
		claim("an ID token", func(c jwt.MapClaims) { c["nonce"] = "n" }),
		claim("an unknown role", func(c jwt.MapClaims) { c["role"] = "admin" }),
		claim("a channel of no channel", func(c jwt.MapClaims) { c["role"], c["channel"] = "channel", "" }),
		claim("an unknown channel", func(c jwt.MapClaims) { c["role"], c["channel"] = "customer", "fax" }),
	)
}
