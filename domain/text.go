package domain

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxReasonLength bounds the reason given for a return or an adjustment, in bytes.
const MaxReasonLength = 500

// CheckReason accepts a reason as CheckText does, unless it is blank: that has the code reason_missing.
func CheckReason(field, reason string) error {
	var missing error
	if strings.TrimSpace(reason) == "" {
		missing = Invalid(field, "reason_missing", "say why, for whoever audits this later")
	}
	return JoinInvalid(missing, CheckText(field, "reason", reason, MaxReasonLength))
}

// CheckText accepts a free text of at most maxBytes of valid UTF-8, without characters that could forge or reorder lines where the text is
// printed: control characters, line and paragraph separators, bidirectional controls. The error names field; its code is code followed by
// _too_long or _malformed.
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
