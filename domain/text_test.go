package domain_test

import (
	"strings"
	"testing"

	"loyalty/domain"
)

func TestCheckText(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"nothing is text", "", nil},
		{"words of any language are text", "Größe falsch – 大きい, سلام, שלום 🙂", nil},
		{"as many bytes as allowed", strings.Repeat("x", 64), nil},
		{"one byte more", strings.Repeat("x", 65), []string{"reason reason_too_long"}},
		{"bytes count, not letters", strings.Repeat("é", 33), []string{"reason reason_too_long"}},
		{"not UTF-8", "caf\xe9", []string{"reason reason_malformed"}},
		{"a line break, which forges a line of a log", "ok\n2026-01-01 award 500", []string{"reason reason_malformed"}},
		{"a tab", "a\tb", []string{"reason reason_malformed"}},
		{"a terminal's escape", "\x1b[2J", []string{"reason reason_malformed"}},
		{"a NUL", "a\x00b", []string{"reason reason_malformed"}},
		{"a control character beyond ASCII", "a\u0085b", []string{"reason reason_malformed"}},
		{"a line separator", "a\u2028b", []string{"reason reason_malformed"}},
		{"a paragraph separator", "a\u2029b", []string{"reason reason_malformed"}},
		{"a turn of direction, which makes 25 read as 52", "\u202e25", []string{"reason reason_malformed"}},
	} {
		t.Run(c.name, func(t *testing.T) { wantRefusals(t, domain.CheckText("reason", "reason", c.text, 64), c.want...) })
	}
}
