// Package strictjson reads commands and questions as JSON, for HTTP and the bus. A text must be one object of at most MaxBytes in
// UTF-8 with nothing behind it. Member names are compared exactly, none may occur twice, unknown members are errors, and amounts are
// read without floating point. All mistakes in a text are reported together.
package strictjson

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"loyalty/domain"
)

const (
	// MaxBytes is the longest text of an object, in bytes.
	MaxBytes = 64 << 10
	// MaxFaults is the most mistakes that one error lists.
	MaxFaults = 50
	// maxMembers is the most members that an object may have names for.
	maxMembers = 6
)

// The errors of a text that can't be read at all. Every other mistake is domain.ErrInvalid and names its field.
var (
	ErrMalformed = errors.New("the body is not one JSON object")
	ErrTooLarge  = errors.New("the body is too large")
)

// Object is a JSON object whose members are read by name. Reading a member adds its mistakes to Err. An Object refers to the
// text that it was parsed from, and must not be used by several goroutines at once.
type Object struct {
	// fields are the members that it may have, as errors name them: "paymentDetails.amount". In the text their names lack the path.
	fields []string
	path   string
	// values are the texts of the members in the order of fields; nil for one that is absent.
	values [maxMembers]jsontext.Value
	errs   []error
}

// Parse reads data as one object that may have the members named in fields, at most six, and no others. After ErrMalformed or
// ErrTooLarge the object has no members.
func Parse(data []byte, fields []string) Object {
	o := Object{fields: fields}
	switch {
	case len(data) > MaxBytes:
		o.Add(ErrTooLarge)
	case !utf8.Valid(data):
		o.Add(ErrMalformed)
	default:
		if err := o.read(data, true); err != nil {
			return Object{fields: fields, errs: []error{err}}
		}
	}
	return o
}

// read reads the members. A member that is not in fields is a mistake in a closed object, and is skipped in an open one.
func (o *Object) read(data []byte, closed bool) error {
	r := newReader(data)
	defer readers.Put(r)
	if r.PeekKind() != '{' {
		return ErrMalformed
	}
	if _, err := r.ReadToken(); err != nil {
		return ErrMalformed
	}
	for r.PeekKind() != '}' {
		name, err := r.ReadValue()
		if err != nil {
			return ErrMalformed
		}
		i := o.member(name, closed)
		value, err := r.ReadValue()
		if err != nil {
			return ErrMalformed
		}
		if i >= 0 {
			// The slice from ReadValue is valid until the next read only. This is the same text in data.
			end := int(r.InputOffset())
			o.values[i] = data[end-len(value) : end : end]
		}
	}
	if _, err := r.ReadToken(); err != nil {
		return ErrMalformed
	}
	if _, err := r.ReadToken(); err != io.EOF {
		return ErrMalformed
	}
	return nil
}

// member is the index of the field with a name, or -1.
func (o *Object) member(quoted jsontext.Value, closed bool) int {
	var space [64]byte
	name := unquote(space[:0], quoted)
	for i, field := range o.fields {
		if string(name) == field[len(o.path):] {
			if o.values[i] != nil {
				o.Fail(field, "field_repeated", "say this once")
			}
			return i
		}
	}
	if closed && len(o.errs) < MaxFaults {
		o.Fail(string(name), "field_unknown", "there is no such field here; they are "+strings.Join(o.fields, ", "))
	}
	return -1
}

// Fail adds a mistake in a member. Those after the first MaxFaults are dropped.
func (o *Object) Fail(field, code, detail string) {
	if len(o.errs) < MaxFaults {
		o.Add(domain.Invalid(field, code, detail))
	}
}

// Add adds an error about the object. It ignores nil.
func (o *Object) Add(err error) {
	if err != nil {
		o.errs = append(o.errs, err)
	}
}

// AddInvalid adds the mistakes that the domain finds in the members. It ignores an error that is not domain.ErrInvalid, which is not
// about the text.
func (o *Object) AddInvalid(decided error) {
	if errors.Is(decided, domain.ErrInvalid) {
		o.Add(decided)
	}
}

// Err is nil if nothing wrong was found so far. Otherwise it is the first error that is not domain.ErrInvalid (ErrMalformed, ErrTooLarge,
// or one that was added), or domain.ErrInvalid with every mistake in the order in which they were found.
func (o *Object) Err() error { return domain.JoinInvalid(o.errs...) }

// reader reads the tokens of a JSON text. It allows duplicate names, because the Object reports them with their field. It reads an
// unpaired surrogate (\ud800) as U+FFFD, as encoding/json does; Parse has checked that the text itself is UTF-8.
type reader struct {
	jsontext.Decoder
	text bytes.Buffer
}

var (
	readers = sync.Pool{New: func() any { return new(reader) }}
	options = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
)

// newReader takes a reader from the pool. The caller puts it back.
func newReader(data []byte) *reader {
	r := readers.Get().(*reader)
	r.text = *bytes.NewBuffer(data)
	r.Reset(&r.text, options...)
	return r
}

// unquote appends the text of a valid JSON string.
func unquote(b []byte, quoted jsontext.Value) []byte {
	// The only possible error is an unpaired surrogate, which is U+FFFD in the text.
	b, _ = jsontext.AppendUnquote(b, quoted)
	return b
}

// text is the text of a value that is a JSON string; false for another kind of value.
func text(value jsontext.Value) (string, bool) {
	if value.Kind() != '"' {
		return "", false
	}
	var space [64]byte
	return string(unquote(space[:0], value)), true
}
