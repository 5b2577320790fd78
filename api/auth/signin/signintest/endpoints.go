package signintest

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const keyID = "key-1"

func (p *Provider) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discover)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked[r.URL.Path]++
		p.mu.Unlock()
		mux.ServeHTTP(w, r)
	})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

func (p *Provider) discover(w http.ResponseWriter, _ *http.Request) {
	method := "client_secret_basic"
	switch {
	case p.client.Secret == "":
		method = "none"
	case p.client.InForm:
		method = "client_secret_post"
	}
	document := map[string]any{
		"issuer": p.Issuer(), "authorization_endpoint": p.Issuer() + "/authorize", "token_endpoint": p.Issuer() + "/token",
		"jwks_uri": p.KeysURL(), "id_token_signing_alg_values_supported": []string{"RS256"},
		"token_endpoint_auth_methods_supported": []string{method}, "code_challenge_methods_supported": []string{"S256"},
		"authorization_response_iss_parameter_supported": p.client.SendsIssuer,
	}
	if p.client.EndsSessions {
		document["end_session_endpoint"] = p.Issuer() + "/end?tenant=1"
	}
	writeJSON(w, http.StatusOK, document)
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	without := p.outcome.WithoutKeys
	p.mu.Unlock()
	if without {
		http.Error(w, "no keys now", http.StatusInternalServerError)
		return
	}
	encode := base64.RawURLEncoding.EncodeToString
	writeJSON(w, http.StatusOK, map[string]any{"keys": []map[string]string{{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": keyID,
		"n": encode(p.key.N.Bytes()), "e": encode(big.NewInt(int64(p.key.E)).Bytes()),
	}}})
}

// authorize sends the browser back with a code (RFC 6749 section 4.1.1), if it came with what RFC 7636 and OpenID Connect ask for.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := r.URL.Query()
	p.last = q
	if q.Get("client_id") != p.client.ID || q.Get("redirect_uri") != p.client.Redirect {
		http.Error(w, "unknown client or redirect URI", http.StatusBadRequest)
		return
	}
	back := url.Values{"state": {q.Get("state")}}
	if p.client.SendsIssuer {
		back.Set("iss", p.Issuer())
	}
	switch {
	case p.outcome.Error != "":
		back.Set("error", p.outcome.Error)
	case q.Get("response_type") != "code" || !slices.Contains(strings.Fields(q.Get("scope")), "openid") ||
		q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || len(q.Get("nonce")) < 16:
		back.Set("error", "invalid_request")
	default:
		code := rand.Text()
		p.codes[code] = grant{subject: p.subject, scope: q.Get("scope"), nonce: q.Get("nonce"), challenge: q.Get("code_challenge"), redirect: q.Get("redirect_uri")}
		back.Set("code", code)
	}
	for name, value := range p.outcome.Return {
		if back.Del(name); value != nil {
			back.Set(name, fmt.Sprint(value))
		}
	}
	http.Redirect(w, r, p.client.Redirect+"?"+back.Encode(), http.StatusFound)
}

// token takes a code (RFC 6749 section 4.1.3, RFC 7636 section 4.6).
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	code := r.PostFormValue("code")
	granted, known := p.codes[code]
	delete(p.codes, code)
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	switch {
	case p.outcome.Status != 0:
		because := map[int]string{http.StatusBadRequest: "invalid_grant", http.StatusUnauthorized: "invalid_client"}[p.outcome.Status]
		// The code is in the answer: some providers repeat what they were sent.
		writeJSON(w, p.outcome.Status, map[string]string{
			"error": cmp.Or(because, "server_error"), "error_description": cmp.Or(p.outcome.Description, "the code was "+code),
		})
	case !p.authenticated(r):
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
	case !known || r.PostFormValue("grant_type") != "authorization_code" || r.PostFormValue("redirect_uri") != granted.redirect ||
		base64.RawURLEncoding.EncodeToString(challenge[:]) != granted.challenge:
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant", "error_description": "the code was " + code})
	default:
		writeJSON(w, http.StatusOK, p.tokens(granted))
	}
}

func (p *Provider) authenticated(r *http.Request) bool {
	id, secret, inHeader := r.BasicAuth()
	if p.client.Secret == "" || p.client.InForm {
		return !inHeader && r.PostFormValue("client_id") == p.client.ID && r.PostFormValue("client_secret") == p.client.Secret
	}
	return inHeader && id == url.QueryEscape(p.client.ID) && secret == url.QueryEscape(p.client.Secret)
}

func (p *Provider) tokens(g grant) map[string]any {
	claims := map[string]any{"sub": g.subject, "aud": Audience}
	if p.outcome.Granting {
		claims["scope"] = g.scope
	}
	access := p.sign(p.key, "at+jwt", claims, p.outcome.Claims)
	if p.outcome.Opaque {
		access = rand.Text()
	}
	if p.outcome.Encrypted {
		access = "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ." + strings.Join([]string{rand.Text(), rand.Text(), rand.Text(), rand.Text()}, ".")
	}
	answer := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 3600}
	if !p.outcome.WithoutIDToken {
		key := p.key
		if p.outcome.ForeignKey {
			key = p.foreign
		}
		// OpenID Connect Core 1.0, section 3.1.3.6: the left half of the hash.
		hash := sha256.Sum256([]byte(access))
		answer["id_token"] = p.sign(key, "JWT", map[string]any{
			"sub": g.subject, "aud": p.client.ID, "nonce": g.nonce, "at_hash": base64.RawURLEncoding.EncodeToString(hash[:16]),
		}, p.outcome.IDClaims)
	}
	return answer
}

func (p *Provider) sign(key *rsa.PrivateKey, kind string, claims jwt.MapClaims, others map[string]any) string {
	now := time.Now()
	claims["iss"], claims["iat"], claims["exp"] = p.Issuer(), now.Unix(), now.Add(time.Hour).Unix()
	maps.Copy(claims, others)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["kid"], token.Header["typ"] = keyID, kind
	signed, err := token.SignedString(key)
	if err != nil {
		p.t.Error(err)
	}
	return signed
}
