package embedded

import (
	"encoding/json"
	"reflect"
	"testing"
)

func FuzzAnAccessControlListIsReadWholeOrNotAtAll(f *testing.F) {
	for _, seed := range []string{
		`{"$acl":{"$r":["$admins","ann"],"$w":"bob"}}`, `{"$acl":"$userStreamAcl"}`, `{"$acl":{"$r":null}}`, `{"$acl":{"$r":[null]}}`,
		`{"$acl":{"$x":"ann"}}`, `{"$acl":{}}`, `{"$acl":{"$r":[]}}`, `[]`, ``, `{"$acl":{"$r":"a","$r":["b"]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		list := parseACL(data, keyACL)
		if list == nil {
			return
		}
		// What was read is the same when it is written and read again.
		again, err := json.Marshal(map[string]any{keyACL: list})
		if err != nil {
			t.Fatal(err)
		}
		if read := parseACL(again, keyACL); !reflect.DeepEqual(read, list) {
			t.Errorf("%q is read as %v, and that as %v", data, list, read)
		}
	})
}
