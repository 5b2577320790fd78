package request

import (
	"strings"

	"github.com/labstack/echo/v4"

	"loyalty/domain"
)

const headerIdempotencyKey = "Idempotency-Key"

// IdempotencyKey reads the id that makes a write safe to repeat: bare, or quoted as a string of structured fields (RFC 9651), which is the
// same id. A key that must be given and is not has the code idempotency_key_missing, two have idempotency_key_repeated; other faults
// have the codes of ids.
func IdempotencyKey[T ~string](c echo.Context, optional bool) (T, error) {
	values := c.Request().Header[headerIdempotencyKey]
	if len(values) > 1 {
		return "", domain.Invalid(headerIdempotencyKey, "idempotency_key_repeated", "a request has one Idempotency-Key")
	}
	if len(values) == 0 && optional {
		return "", nil
	}
	key := First(values)
	if inner, quoted := strings.CutPrefix(key, `"`); quoted && strings.HasSuffix(inner, `"`) {
		key = strings.TrimSuffix(inner, `"`)
	}
	if key == "" {
		return "", domain.Invalid(headerIdempotencyKey, "idempotency_key_missing",
			"choose an id of 1 to 64 characters before sending, and send the same one again when you repeat the request")
	}
	return domain.ParseID[T](headerIdempotencyKey, key)
}
