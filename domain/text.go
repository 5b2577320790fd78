package domain

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// MaxReasonLength bounds the reason given for a return or an adjustment, in bytes.
const MaxReasonLength = 500

// CheckText bounds a free word to maxBytes of UTF-8, and keeps out what could forge or reorder the lines of whoever
// prints it later: control characters, line and paragraph separators, and marks that turn the direction of writing. The
// error names field; its code is code followed by _too_long or _malformed.
func CheckText(field, code, text string, maxBytes int) error {
	if len(text) > maxBytes {
		return Invalid(field, code+"_too_long", fmt.Sprintf("at most %d bytes", maxBytes))
	}
	if !utf8.ValidString(text) {
		return Invalid(field, code+"_malformed", "the text must be UTF-8")
	}
	for _, r := range text {
		if unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return Invalid(field, code+"_malformed", "the text must not hold control characters")
		}
	}
	return nil
}
