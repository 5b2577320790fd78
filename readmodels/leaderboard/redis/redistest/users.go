package redistest

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// DocumentedUser makes a user on servers by the lines "ACL SETUSER name …" of a document, with PASSWORD and other words of the document replaced by
// those that follow, in pairs. It returns the rights of the lines.
func DocumentedUser(t testing.TB, servers []*Server, document, name string, replaced ...string) (rights []string) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(strings.NewReplacer(replaced...).Replace(line))
		if len(words) < 3 || !slices.Equal(words[:3], []string{"ACL", "SETUSER", name}) {
			continue
		}
		command := make([]any, len(words))
		for i, word := range words {
			command[i] = word
			if right, is := strings.CutPrefix(word, "+"); is {
				rights = append(rights, right)
			}
		}
		for _, s := range servers {
			s.Do(command...)
		}
	}
	if len(rights) == 0 {
		t.Fatalf("%s has no line ACL SETUSER %s", document, name)
	}
	return rights
}
