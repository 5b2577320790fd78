package auth

import "strings"

// MaxPath bounds a path to go to, in bytes.
const MaxPath = 1 << 10

// LocalPath is a path of ours to go to, "/" for anything else: nobody is sent elsewhere by a link to the sign-in. Browsers take "//"
// and "/\" for the beginning of a host, and leave out control characters before they look (URL Standard, section 4.4).
func LocalPath(text string) string {
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	if !strings.HasPrefix(text, "/") || strings.HasPrefix(text, "//") || len(text) > MaxPath ||
		strings.Contains(text, `\`) || strings.ContainsFunc(text, control) {
		return "/"
	}
	return text
}
