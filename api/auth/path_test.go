package auth

import (
	"net/url"
	"strings"
	"testing"
)

func TestWhereABrowserMayBeSentAfterwards(t *testing.T) {
	for text, want := range map[string]string{
		"/": "/", "/support": "/support", "/analysis?asOf=2026-01-01#chart": "/analysis?asOf=2026-01-01#chart", "/a//b": "/a//b", "/é": "/é",
		"/" + strings.Repeat("a", MaxPath-1): "/" + strings.Repeat("a", MaxPath-1), "/" + strings.Repeat("a", MaxPath): "/",
		"": "/", "support": "/", "//elsewhere.example": "/", "///elsewhere.example": "/", `/\elsewhere.example`: "/", `\/elsewhere.example`: "/",
		"https://elsewhere.example": "/", "javascript:alert(1)": "/", "/\t/elsewhere.example": "/", "/\n/elsewhere.example": "/", "\t//elsewhere.example": "/",
		" //elsewhere.example": "/", "/a\r\nSet-Cookie: b=c": "/", "/\x00": "/", "/\x7f": "/", "?to=//elsewhere.example": "/", "@elsewhere.example": "/",
	} {
		if got := LocalPath(text); got != want {
			t.Errorf("%q leads to %q, want %q", text, got, want)
		}
	}
}

func FuzzLocalPath(f *testing.F) {
	for _, seed := range []string{"/support?q=1#a", "//elsewhere.example", `/\elsewhere.example`, "/\t/elsewhere.example", "https://elsewhere.example", "/%2f/elsewhere.example", "/.//elsewhere.example"} {
		f.Add(seed)
	}
	// What browsers do before they look at an address (URL Standard, section 4.4).
	asBrowsers := strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/")
	f.Fuzz(func(t *testing.T, text string) {
		got := LocalPath(text)
		seen := asBrowsers.Replace(strings.TrimFunc(got, func(r rune) bool { return r <= ' ' }))
		if !strings.HasPrefix(seen, "/") || strings.HasPrefix(seen, "//") || len(got) > MaxPath || (got != text && got != "/") {
			t.Fatalf("%q leads to %q", text, got)
		}
		if at, err := url.Parse(seen); err == nil && (at.Host != "" || at.Scheme != "") {
			t.Fatalf("%q leads to %q", text, at)
		}
	})
}
