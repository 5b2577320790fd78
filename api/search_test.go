package api

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"loyalty/domain"
)

// Every name is known for one, however it is written, and is then written as it is shown.
func TestAProxyNameIsKnownByItsForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := domain.ProxyKey(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key")).Name()
		space := rapid.SampledFrom([]string{" ", "  ", "\t", "\u00a0"}).Draw(t, "space")
		written := rapid.SampledFrom([]func(string) string{strings.ToLower, strings.ToUpper, strings.Clone}).Draw(t, "case")(name)
		if got, ok := proxyName(space + strings.ReplaceAll(written, " ", space)); !ok || got != name {
			t.Fatalf("%q is taken for %q, %t", written, got, ok)
		}
	})
}

func FuzzProxyName(f *testing.F) {
	for _, text := range []string{"Amber Otter 482913", "amber otter 48291", "Amber Otter 482913 x", "Åmber Otter 482913", "İ I 000000", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, ok := proxyName(text)
		if !ok {
			return
		}
		if again, ok := proxyName(name); !ok || again != name || !strings.EqualFold(name, strings.Join(strings.Fields(text), " ")) {
			t.Errorf("%q is taken for %q, and that for %q", text, name, again)
		}
	})
}
