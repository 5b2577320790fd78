// Package strictjson reads the JSON of commands and questions, for HTTP and the bus alike: one object of at most MaxBytes in
// UTF-8 with nothing behind it, member names compared exactly, no name twice, no member that is not known, amounts read
// exactly. It gathers everything that is wrong, so that a caller learns of every mistake at once.
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
	// MaxBytes bounds the text of an object, in bytes.
	MaxBytes = 64 << 10
	// MaxFaults bounds how many mistakes are told at once.
	MaxFaults = 50
	// maxMembers is the most members that any object of ours has.
	maxMembers = 6
)

// What makes a text unreadable as a whole. Every other mistake is domain.ErrInvalid and names its field.
var (
	ErrMalformed = errors.New("the body is not one JSON object")
	ErrTooLarge  = errors.New("the body is too large")
)

// Object is a JSON object whose members are read by name. Reading a member adds what is wrong with it to Err. An Object
// refers to the text that it was parsed from, and is for one goroutine.
type Object struct {
	// fields are the members that it may have, as errors name them: "paymentDetails.amount". In the text their names are
	// without path.
	fields []string
	path   string
	// values are the texts of the members in the order of fields; nil for one that is absent.
	values [maxMembers]jsontext.Value
	errs   []error
}

// Parse reads data as one object that may have the members named in fields, and no others. What is unreadable as a whole has
// no members.
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

// read reads the members. Those not in fields are a mistake in a closed object; in an open one they are skipped and not kept.
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
			// The slice that ReadValue gave is good until the next read only; this is the same text in data.
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

// Fail adds a mistake in a member. Those after the first MaxFaults are not kept.
func (o *Object) Fail(field, code, detail string) {
	if len(o.errs) < MaxFaults {
		o.Add(domain.Invalid(field, code, detail))
	}
}

// Add adds an error about the object, nil being none.
func (o *Object) Add(err error) {
	if err != nil {
		o.errs = append(o.errs, err)
	}
}

// AddInvalid adds what the domain finds wrong in what could be read. An error that is not domain.ErrInvalid says nothing about the
// object and is not added.
func (o *Object) AddInvalid(decided error) {
	if errors.Is(decided, domain.ErrInvalid) {
		o.Add(decided)
	}
}

// Err is nil if everything read so far is right. Otherwise it is ErrMalformed, ErrTooLarge, another error that was added,
// or domain.ErrInvalid with every mistake.
func (o *Object) Err() error { return domain.JoinInvalid(o.errs...) }

// reader walks a JSON text. Names that occur twice are the Object's to tell, with the field they are. Escapes of half a
// character (\ud800) are read as U+FFFD, as encoding/json does; that the text itself is UTF-8 is known.
type reader struct {
	jsontext.Decoder
	text bytes.Buffer
}

var (
	readers = sync.Pool{New: func() any { return new(reader) }}
	options = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
)

// newReader gives a reader of data, to be put back after use.
func newReader(data []byte) *reader {
	r := readers.Get().(*reader)
	r.text = *bytes.NewBuffer(data)
	r.Reset(&r.text, options...)
	return r
}

// unquote appends what a valid JSON string says.
func unquote(b []byte, quoted jsontext.Value) []byte {
	// The error is about halves of characters, which are U+FFFD in the text.
	b, _ = jsontext.AppendUnquote(b, quoted)
	return b
}

// text is what a value says that is a JSON string; false for another kind.
func text(value jsontext.Value) (string, bool) {
	if value.Kind() != '"' {
		return "", false
	}
	var space [64]byte
	return string(unquote(space[:0], value)), true
}
