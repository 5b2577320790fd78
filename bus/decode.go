package bus

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"loyalty/domain"
)

// maxPayload bounds the payload of a command, in bytes, as the body of a request is bounded.
const maxPayload = 64 << 10

// fields are the members of one JSON object, and what is wrong with them so far. Names are compared exactly.
type fields struct {
	// path is what stands before the names of its members in errors: "paymentDetails.".
	path    string
	members map[string]json.RawMessage
	errs    []error
}

// readFields reads data as one JSON object with the members named, each at most once. An open object may have others,
// which are not looked at.
func readFields(data []byte, path string, open bool, names ...string) *fields {
	f := &fields{path: path, members: make(map[string]json.RawMessage, len(names))}
	malformed := func() *fields {
		f.errs = []error{domain.Invalid("payload", "json_malformed", "the payload must be one whole JSON object and nothing else")}
		return f
	}
	if len(data) > maxPayload {
		f.errs = []error{domain.Invalid("payload", "payload_too_large", fmt.Sprintf("a payload has at most %d bytes", maxPayload))}
		return f
	}
	if !utf8.Valid(data) || !json.Valid(data) {
		return malformed()
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if first, err := decoder.Token(); err != nil || first != json.Delim('{') {
		return malformed()
	}
	for decoder.More() {
		token, err := decoder.Token()
		name, isName := token.(string)
		var value json.RawMessage
		if err != nil || !isName || decoder.Decode(&value) != nil {
			return malformed()
		}
		_, repeated := f.members[name]
		switch {
		case slices.Contains(names, name) && repeated:
			f.fail(name, "field_repeated", "say this once")
		case slices.Contains(names, name):
			f.members[name] = value
		case !open:
			f.fail(printable(name), "field_unknown", "there is no such field here; they are "+strings.Join(names, ", "))
		}
	}
	return f
}

// printable keeps from a problem what a sender put where a name belongs: it may be anybody's.
func printable(name string) string {
	if _, err := domain.ParseID[string]("name", name); err != nil {
		return "?"
	}
	return name
}

func (f *fields) fail(name, code, detail string) { f.add(domain.Invalid(f.path+name, code, detail)) }

func (f *fields) add(err error) {
	if err != nil {
		f.errs = append(f.errs, err)
	}
}

// maxFaults bounds how many faults one result lists, whatever a payload may hold.
const maxFaults = 20

// err is domain.ErrInvalid with all that is wrong, nil if nothing is.
func (f *fields) err() error { return domain.JoinInvalid(f.errs[:min(len(f.errs), maxFaults)]...) }

// unread tells that nothing could be read, so that what is missing says nothing.
func (f *fields) unread() bool { return len(f.errs) > 0 && len(f.members) == 0 }

// raw is a member's text; false if the member is absent or null.
func (f *fields) raw(name string) (json.RawMessage, bool) {
	value := f.members[name]
	return value, len(value) > 0 && string(value) != "null"
}

// text is a member that is a string, empty if it is absent; another kind of value has the code given, and is not ok.
func (f *fields) text(name, code string) (text string, ok bool) {
	raw, present := f.raw(name)
	if !present {
		return "", true
	}
	if text, ok = unquote(raw); !ok {
		f.fail(name, code, "this must be a JSON string")
	}
	return text, ok
}

// amount is a member that is an amount of money, a JSON string or number, in minor units, exactly.
func (f *fields) amount(name string) int64 {
	raw, present := f.raw(name)
	text, ok := "", false
	if present {
		if text, ok = unquote(raw); !ok {
			text = string(raw)
		}
	}
	minor, err := domain.ParseAmount(f.path+name, text)
	f.add(err)
	return minor
}

// points is a member that is a JSON number written as an integer.
func (f *fields) points(name string) domain.Points {
	raw, present := f.raw(name)
	if !present {
		f.fail(name, "points_missing", "say how many points, as an integer")
		return 0
	}
	for i, c := range raw {
		if (c < '0' || c > '9') && !(i == 0 && c == '-') {
			f.fail(name, "points_malformed", "points are a JSON number without decimals or exponent")
			return 0
		}
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		// More digits than 64 bits hold: far out of the range that the domain has for points.
		n = int64(domain.MaxTotal) + 1
	}
	return domain.Points(n)
}

// texts is a member that is an array of strings; what strings they may be is the domain's to say.
func (f *fields) texts(name string) []string {
	raw, present := f.raw(name)
	if !present {
		return nil
	}
	var values []json.RawMessage
	if json.Unmarshal(raw, &values) != nil {
		f.fail(name, "items_malformed", "this must be an array of item ids")
		return nil
	}
	texts := make([]string, len(values))
	for i, value := range values {
		text, ok := unquote(value)
		if !ok {
			f.fail(fmt.Sprintf("%s[%d]", name, i), "id_malformed", "an item id is a JSON string")
		}
		texts[i] = text
	}
	return texts
}

// id is a member that is an id.
func id[T ~string](f *fields, name string) T {
	text, ok := f.text(name, "id_malformed")
	if !ok {
		return ""
	}
	parsed, err := domain.ParseID[T](f.path+name, text)
	f.add(err)
	return parsed
}

// unquote is the text of a JSON string; false for another kind of value.
func unquote(raw json.RawMessage) (string, bool) {
	var text string
	if raw[0] != '"' || json.Unmarshal(raw, &text) != nil {
		return "", false
	}
	return text, true
}
