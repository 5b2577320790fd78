package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Given tokens that are refused
// Then the log says why, of which key and issuer and for which request, and holds nothing of the token or its bearer.
func TestTheLogSaysWhyATokenWasRefused(t *testing.T) {
	s := serve(t, loadDocument(t), fixed{}.all)
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": "ann-7Q", "role": "barista", "iss": "https://id.example/" + strings.Repeat("x", 200), "exp": time.Now().Add(time.Hour).Unix(),
	})
	token.Header["kid"] = "k-7"
	signed, err := token.SignedString(tokenSecret)
	if err != nil {
		t.Fatal(err)
	}
	s.do(t, exchange{method: "GET", path: "/loyalty/ann-7Q", status: 401, code: "token_invalid",
		header: http.Header{"Authorization": {"Bearer " + signed}, "X-Request-Id": {"request-7"}}})
	s.do(t, exchange{method: "GET", path: "/loyalty/ann-7Q", status: 401, code: "token_malformed", header: http.Header{"Authorization": {"Bearer garbage"}}})
	log := s.log.String()
	if !strings.Contains(log, `"msg":"a token was refused","id":"request-7","because":"role: none of it is customer, channel, support or analyst"`) || !strings.Contains(log, `"kid":"k-7","iss":"https://id.example/xxx`) {
		t.Errorf("it does not say why:\n%s", log)
	}
	for _, part := range []string{"ann-7Q", "eyJ", "garbage", strings.Repeat("x", 100)} {
		if strings.Contains(log, part) {
			t.Errorf("it holds %q:\n%s", part, log)
		}
	}
}
