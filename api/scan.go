package api

import (
	"bytes"
	"encoding/json"
	"iter"
)

// The functions here walk the text of JSON that json.Valid has found valid: they need not look for what can't be there. That
// costs a fraction of what encoding/json's decoder does, and an order is read in one pass after the one that proves it valid.

// members gives the members of an object: the text of each name, with its quotation marks, and that of its value, both
// without the space around them.
func members(object []byte) iter.Seq2[json.RawMessage, json.RawMessage] {
	return func(yield func(name, value json.RawMessage) bool) {
		for rest := skipSpace(object[1:]); rest[0] != '}'; {
			end := stringEnd(rest)
			name := json.RawMessage(rest[:end])
			rest = skipSpace(skipSpace(rest[end:])[1:]) // the colon
			end = valueEnd(rest)
			if !yield(name, rest[:end:end]) {
				return
			}
			rest = afterComma(rest[end:])
		}
	}
}

// elements gives the elements of an array, each without the space around it.
func elements(array []byte) iter.Seq[json.RawMessage] {
	return func(yield func(json.RawMessage) bool) {
		for rest := skipSpace(array[1:]); rest[0] != ']'; {
			end := valueEnd(rest)
			if !yield(rest[:end:end]) {
				return
			}
			rest = afterComma(rest[end:])
		}
	}
}

// afterComma is where the next member or element begins, or the bracket that closes them all.
func afterComma(rest []byte) []byte {
	rest = skipSpace(rest)
	if rest[0] == ',' {
		rest = skipSpace(rest[1:])
	}
	return rest
}

func skipSpace(text []byte) []byte {
	for i, c := range text {
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return text[i:]
		}
	}
	return nil
}

// valueEnd is where the value ends that text begins with.
func valueEnd(text []byte) int {
	switch text[0] {
	case '"':
		return stringEnd(text)
	case '{', '[':
		depth := 0
		for i := 0; ; i++ {
			switch text[i] {
			case '"':
				i += stringEnd(text[i:]) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
	}
	for i, c := range text {
		switch c {
		case ',', '}', ']', ' ', '\t', '\r', '\n':
			return i
		}
	}
	return len(text)
}

// stringEnd is where the string ends that text begins with.
func stringEnd(text []byte) int {
	for i := 1; ; i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// unquote is the text of a JSON string; false for another kind of value.
func unquote(valid json.RawMessage) (string, bool) {
	if valid[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(valid, '\\') < 0 {
		return string(valid[1 : len(valid)-1]), true
	}
	var text string
	err := json.Unmarshal(valid, &text)
	return text, err == nil
}

// says tells whether a JSON string, written with escapes or without, is a text.
func says(valid json.RawMessage, text string) bool {
	if bytes.IndexByte(valid, '\\') < 0 {
		return string(valid[1:len(valid)-1]) == text
	}
	unescaped, _ := unquote(valid)
	return unescaped == text
}
