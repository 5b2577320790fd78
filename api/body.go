package api

import (
	"bytes"
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
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset, coding := parameters["charset"], r.Header.Get("Content-Encoding")
	if err != nil || kind != "application/json" || !(charset == "" || strings.EqualFold(charset, "utf-8")) || !(coding == "" || coding == "identity") {
		return nil, errContentType
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

// object is a JSON object, its members not yet decoded.
type object struct {
	// path is what stands before the names of its members in errors: "paymentDetails.".
	path    string
	members map[string]json.RawMessage
}

// parseObject reads data as one JSON object with the members named, each at most once. Names are compared exactly. It
// returns errJSONMalformed for anything else than an object in valid UTF-8, and domain.ErrInvalid for a member that
// occurs twice (field_repeated) or is not one of the names (field_unknown); the object then holds what could be read.
func parseObject(data []byte, names ...string) (object, error) {
	return readMembers(data, "", func(name string) error {
		return domain.Invalid(name, "field_unknown", "there is no such field here; they are "+strings.Join(names, ", "))
	}, names)
}

// parseOpenObject does as parseObject, but skips what is not one of the names, without keeping it or looking at it. The
// path stands before the names in errors.
func parseOpenObject(data []byte, path string, names ...string) (object, error) {
	return readMembers(data, path, func(string) error { return nil }, names)
}

func readMembers(data []byte, path string, unknown func(name string) error, names []string) (object, error) {
	o := object{path: path, members: make(map[string]json.RawMessage, len(names))}
	if !utf8.Valid(data) || !json.Valid(data) {
		return o, errJSONMalformed
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return o, errJSONMalformed
	}
	var errs []error
	for decoder.More() {
		token, err := decoder.Token()
		name, isName := token.(string)
		var value json.RawMessage
		if err != nil || !isName || decoder.Decode(&value) != nil {
			return o, errJSONMalformed
		}
		if !slices.Contains(names, name) {
			errs = append(errs, unknown(name))
			continue
		}
		if _, repeated := o.members[name]; repeated {
			errs = append(errs, domain.Invalid(path+name, "field_repeated", "say this once"))
		}
		o.members[name] = value
	}
	return o, domain.JoinInvalid(errs...)
}

// raw is a member's text; false if the member is absent or null.
func (o object) raw(name string) (json.RawMessage, bool) {
	value := o.members[name]
	return value, len(value) > 0 && string(value) != "null"
}

// text reads a member that is a string, empty if it is absent. Another kind of value has the code given.
func (o object) text(name, code string) (string, error) {
	raw, present := o.raw(name)
	if !present {
		return "", nil
	}
	text, ok := unquote(raw)
	if !ok {
		return "", domain.Invalid(o.path+name, code, "this must be a JSON string")
	}
	return text, nil
}

// amount reads a member that is an amount of money, a JSON string or number, into minor units, exactly. Errors are
// those of domain.ParseAmount.
func (o object) amount(name string) (int64, error) {
	raw, present := o.raw(name)
	if !present {
		return domain.ParseAmount(o.path+name, "")
	}
	text, ok := unquote(raw)
	if !ok {
		text = string(raw)
	}
	return domain.ParseAmount(o.path+name, text)
}

// unquote is the text of a JSON string; false for another kind of value.
func unquote(raw json.RawMessage) (string, bool) {
	var text string
	if raw[0] != '"' || json.Unmarshal(raw, &text) != nil {
		return "", false
	}
	return text, true
}

// alsoInvalid joins to the mistakes found in reading a body those that the domain finds in what could be read, so that
// a caller learns of all of them at once. What else the domain decided does not matter here.
func alsoInvalid(read, decided error) error {
	if !errors.Is(decided, domain.ErrInvalid) {
		decided = nil
	}
	return domain.JoinInvalid(read, decided)
}
