package api

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"loyalty/domain"
)

// maxBody bounds a request's body, in bytes.
const maxBody = 64 << 10

// readBody reads the whole body of a request, which must say that it is JSON. Errors are errContentType,
// errBodyTooLarge, and errJSONMalformed for a body that ends before its time.
func readBody(c echo.Context) ([]byte, error) {
	r := c.Request()
	if !hasContentType(r, echo.MIMEApplicationJSON) {
		return nil, errContentType
	}
	switch size := r.ContentLength; {
	case size > maxBody:
		return nil, errBodyTooLarge
	case size >= 0:
		data := make([]byte, size)
		if _, err := io.ReadFull(r.Body, data); err != nil {
			return nil, errJSONMalformed
		}
		return data, nil
	}
	data, err := io.ReadAll(http.MaxBytesReader(c.Response().Writer, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, errBodyTooLarge
	case err != nil:
		return nil, errJSONMalformed
	}
	return data, nil
}

// hasContentType tells whether a request says that its body is of a kind, in UTF-8 and not compressed.
func hasContentType(r *http.Request, want string) bool {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return false
	}
	given := first(r.Header["Content-Type"])
	if given == want {
		return true
	}
	kind, parameters, err := mime.ParseMediaType(given)
	charset := parameters["charset"]
	return err == nil && kind == want && (charset == "" || strings.EqualFold(charset, "utf-8"))
}

// object is a JSON object, its members not yet decoded.
type object struct {
	// fields are the names of the members that it may have, as errors give them: "paymentDetails.amount".
	fields []string
	// values are the texts of the members by the index of their field; nil for one that is absent.
	values [maxMembers]json.RawMessage
}

// maxMembers is the most members that any object of the API has names for.
const maxMembers = 4

// parseObject reads data as one JSON object with the members named, each at most once. Names are compared exactly. It
// returns errJSONMalformed for anything else than an object in valid UTF-8, and domain.ErrInvalid for a member that
// occurs twice (field_repeated) or is not one of the names (field_unknown); the object then holds what could be read.
func parseObject(data []byte, fields []string) (object, error) {
	if !utf8.Valid(data) || !json.Valid(data) {
		return object{fields: fields}, errJSONMalformed
	}
	if data = skipSpace(data); data[0] != '{' {
		return object{fields: fields}, errJSONMalformed
	}
	o := object{fields: fields}
	return o, o.read(data, "", true)
}

// parseMember does as parseObject with the text of a member that is known to be a valid object, but skips what is not one of
// its fields, without keeping it or looking at it. The fields begin with path.
func parseMember(valid json.RawMessage, path string, fields []string) (object, error) {
	o := object{fields: fields}
	return o, o.read(valid, path, false)
}

func (o *object) read(valid []byte, path string, closed bool) error {
	var errs []error
	for name, value := range members(valid) {
		i := slices.IndexFunc(o.fields, func(field string) bool { return says(name, field[len(path):]) })
		if i < 0 {
			if closed {
				unknown, _ := unquote(name)
				errs = append(errs, domain.Invalid(unknown, "field_unknown", "there is no such field here; they are "+strings.Join(o.fields, ", ")))
			}
			continue
		}
		if o.values[i] != nil {
			errs = append(errs, domain.Invalid(o.fields[i], "field_repeated", "say this once"))
		}
		o.values[i] = value
	}
	if errs == nil {
		return nil
	}
	return domain.JoinInvalid(errs...)
}

// raw is a member's text; false if the member is absent or null.
func (o *object) raw(field string) (json.RawMessage, bool) {
	i := slices.Index(o.fields, field)
	if i < 0 {
		return nil, false
	}
	value := o.values[i]
	return value, len(value) > 0 && string(value) != "null"
}

// text reads a member that is a string, empty if it is absent. Another kind of value has the code given.
func (o *object) text(field, code string) (string, error) {
	raw, present := o.raw(field)
	if !present {
		return "", nil
	}
	text, ok := unquote(raw)
	if !ok {
		return "", domain.Invalid(field, code, "this must be a JSON string")
	}
	return text, nil
}

// amount reads a member that is an amount of money, a JSON string or number, into minor units, exactly. Errors are
// those of domain.ParseAmount.
func (o *object) amount(field string) (int64, error) {
	raw, present := o.raw(field)
	if !present {
		return domain.ParseAmount(field, "")
	}
	text, ok := unquote(raw)
	if !ok {
		text = string(raw)
	}
	return domain.ParseAmount(field, text)
}

// alsoInvalid joins to the mistakes found in reading a body those that the domain finds in what could be read, so that
// a caller learns of all of them at once. What else the domain decided does not matter here.
func alsoInvalid(read, decided error) error {
	if !errors.Is(decided, domain.ErrInvalid) {
		decided = nil
	}
	return domain.JoinInvalid(read, decided)
}
