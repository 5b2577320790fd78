package flags

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"loyalty/eventstore/embedded"
)

func TestUsersOfTheEventStoreAreOfTwoKinds(t *testing.T) {
	user := func(password string) embedded.User { return embedded.User{Password: password} }
	admin := func(password string) embedded.User { return embedded.User{Password: password, Administrator: true} }
	for _, c := range []struct {
		name, text string
		want       map[string]embedded.User
		says       string
	}{
		{"a file of before the two kinds", "# who may\nann:pw\n\n bob:p w \n", map[string]embedded.User{"ann": user("pw"), "bob": user("p w")}, ""},
		{"passwords with colons", "ann:a:b:admin\n[administrators]\nroot:x:\n", map[string]embedded.User{"ann": user("a:b:admin"), "root": admin("x:")}, ""},
		{"administrators first", "[administrators]\nroot:pw\n[users]\nann:pw\n", map[string]embedded.User{"root": admin("pw"), "ann": user("pw")}, ""},
		{"a name in brackets", "[administrators]:pw\n", map[string]embedded.User{"[administrators]": user("pw")}, ""},
		{"the last password counts", "ann:one\nann:two\n", map[string]embedded.User{"ann": user("two")}, ""},
		{"both kinds at once", "ann:one\n[administrators]\nann:one\n", nil, "line 3"},
		{"another kind", "[admins]\nroot:pw\n", nil, "line 1 is neither"},
		{"no password", "[administrators]\nroot:\n", nil, "line 2"},
		{"nobody", "[administrators]\n", nil, "no user"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "users")
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := readUsers(file)
			if c.says == "" && (err != nil || !maps.Equal(got, c.want)) {
				t.Errorf("got %v, %v; want %v", got, err, c.want)
			}
			if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "pw")) {
				t.Errorf("got %v, want %q and no password", err, c.says)
			}
		})
	}
}
