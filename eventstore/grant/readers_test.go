package grant

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"loyalty/domain"
)

func TestAReaderIsAddedToWhatIsThere(t *testing.T) {
	for _, c := range []struct {
		name, metadata, settings string
		want                     string // empty if nothing changes
		readers                  []string
	}{
		{"no metadata", "", "", `{"$acl":{"$r":["$admins","ann"]}}`, []string{"$admins", "ann"}},
		{"empty metadata", `{}`, "", `{"$acl":{"$r":["$admins","ann"]}}`, []string{"$admins", "ann"}},
		{"other keys", `{"$maxCount":9007199254740993,"note":{"<a>":[1.50]}}`, "",
			`{"$maxCount":9007199254740993,"note":{"<a>":[1.50]},"$acl":{"$r":["$admins","ann"]}}`, []string{"$admins", "ann"}},
		{"other readers", `{"$acl":{"$r":["bob","$admins","ops"]}}`, "", `{"$acl":{"$r":["bob","$admins","ops","ann"]}}`, []string{"bob", "$admins", "ops", "ann"}},
		{"one reader", `{"$acl":{"$r":"bob"}}`, "", `{"$acl":{"$r":["bob","ann"]}}`, []string{"bob", "ann"}},
		{"no reader", `{"$acl":{"$r":[]}}`, "", `{"$acl":{"$r":["ann"]}}`, []string{"ann"}},
		{"other rights", `{"$acl":{"$w":"bob","$mr":["x"]}}`, "", `{"$acl":{"$w":"bob","$mr":["x"],"$r":["$admins","ann"]}}`, []string{"$admins", "ann"}},
		{"the word for users' streams, which servers ignore", `{"$acl":"$userStreamAcl"}`, "", `{"$acl":{"$r":["$admins","ann"]}}`, []string{"$admins", "ann"}},
		{"the word for system streams", `{"a":1,"$acl":"$systemStreamAcl"}`, "", `{"a":1,"$acl":{"$r":["$admins","ann"]}}`, []string{"$admins", "ann"}},
		{"null", `{"$acl":null}`, "", `{"$acl":{"$r":["$admins","ann"]}}`, []string{"$admins", "ann"}},
		{"other defaults", `{"$acl":{"$w":"bob"}}`, `{"$systemStreamAcl":{"$r":["$admins","bob"]}}`,
			`{"$acl":{"$w":"bob","$r":["$admins","bob","ann"]}}`, []string{"$admins", "bob", "ann"}},
		{"defaults that can't be read", "", `{"$systemStreamAcl":{"$r":[1]}}`, `{"$acl":{"$r":["$admins","ann"]}}`, []string{"$admins", "ann"}},
		{"a reader already", `{"$acl":{"$r":["$admins","ann"]},"b":2}`, "", "", []string{"$admins", "ann"}},
		{"the one reader", `{"$acl":{"$r":"ann"}}`, "", "", []string{"ann"}},
		{"everybody", `{"$acl":{"$r":"$all"}}`, "", "", []string{"$all"}},
		{"a reader by default", "", `{"$systemStreamAcl":{"$r":["ann"]}}`, "", []string{"ann"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, readers, err := withReader([]byte(c.metadata), []byte(c.settings), "ann")
			if err != nil || !slices.Equal(readers, c.readers) {
				t.Fatalf("readers %q, %v; want %q", readers, err, c.readers)
			}
			if (got == nil) != (c.want == "") || got != nil && !reflect.DeepEqual(values(t, got), values(t, []byte(c.want))) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestMetadataThatAServerIgnoresIsNotWrittenOver(t *testing.T) {
	for _, metadata := range []string{
		`[]`, `null`, `7`, `{`, `{"$acl":7}`, `{"$acl":"bob"}`, `{"$acl":[]}`, `{"$acl":{"$r":null}}`, `{"$acl":{"$r":[1]}}`, `{"$acl":{"$r":[null]}}`,
		`{"$acl":{"$w":{}}}`, `{"$acl":{"$r":"bob","$x":"bob"}}`,
	} {
		if got, _, err := withReader([]byte(metadata), nil, "ann"); !errors.Is(err, domain.ErrInvalid) || got != nil {
			t.Errorf("%s: got %s, %v", metadata, got, err)
		}
	}
}

// values are the members of an object, with numbers as they are written.
func values(t *testing.T, data []byte) (values map[string]any) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.UseNumber()
	if err := decoder.Decode(&values); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return values
}

func FuzzAGrantAddsOneReaderAndChangesNothingElse(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `{"$acl":"$userStreamAcl"}`, `{"$acl":{"$r":"bob"},"x":{"y":[1,null]}}`, `{"$acl":{"$r":["bob","$admins"],"$w":[]},"$maxAge":5}`,
		`{"$acl":{"$r":[null]}}`, `{"$acl":{"$x":1}}`, `{"a":1,"a":2}`,
	} {
		f.Add([]byte(seed), []byte(`{"$systemStreamAcl":{"$r":["bob"]}}`), "ann")
	}
	f.Fuzz(func(t *testing.T, metadata, settings []byte, user string) {
		if !utf8.ValidString(user) {
			return // refused before
		}
		changed, readers, err := withReader(metadata, settings, user)
		if err != nil {
			if !errors.Is(err, domain.ErrInvalid) || changed != nil {
				t.Fatalf("got %s, %v", changed, err)
			}
			return
		}
		if changed == nil {
			if !slices.Contains(readers, user) && !slices.Contains(readers, "$all") {
				t.Fatalf("nothing changes, and %q is not among %q", user, readers)
			}
			return
		}
		before, after := map[string]any{}, values(t, changed)
		if len(metadata) > 0 {
			before = values(t, metadata)
		}
		rights := func(m map[string]any) map[string]any {
			list, _ := m["$acl"].(map[string]any)
			list, rest := cloned(list), m
			delete(list, "$r")
			delete(rest, "$acl")
			return list
		}
		if b, a := rights(before), rights(after); !reflect.DeepEqual(b, a) || !reflect.DeepEqual(before, after) {
			t.Fatalf("%s became %s", metadata, changed)
		}
		again, same, err := withReader(changed, settings, user)
		if err != nil || again != nil || len(same) != len(readers) {
			t.Fatalf("once more: %s, %q, %v", again, same, err)
		}
	})
}

func cloned(m map[string]any) map[string]any {
	c := map[string]any{}
	for key, value := range m {
		c[key] = value
	}
	return c
}
