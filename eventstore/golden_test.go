package eventstore

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// With -golden.add the test writes the files that are missing. It never changes one that is there: what was stored
// stays stored.
var addGolden = flag.Bool("golden.add", false, "write golden files of event types that have none")

const goldenDir = "testdata/golden"

func TestEveryEventTypeHasAGoldenFileOfItsStoredForm(t *testing.T) {
	registry := loyaltyEvents(t)
	for name, eventType := range registry.types {
		file := filepath.Join(goldenDir, name+".json")
		encoded, err := registry.Encode(eventType.sample, Metadata{})
		if err != nil {
			t.Fatal(err)
		}
		golden, err := os.ReadFile(file)
		if os.IsNotExist(err) && *addGolden {
			if err := os.WriteFile(file, indent(t, encoded.Data), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s has no golden file: run go test ./eventstore -golden.add and commit it (%v)", name, err)
			continue
		}
		if !bytes.Equal(indent(t, encoded.Data), golden) {
			t.Errorf("%s is stored otherwise than it was; make a new version and an upcaster instead. Now:\n%s", name, indent(t, encoded.Data))
		}
	}
}

func TestEveryGoldenFileEverWrittenStillDecodes(t *testing.T) {
	registry := loyaltyEvents(t)
	files, err := filepath.Glob(filepath.Join(goldenDir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("golden files: %v, %v", files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		golden, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		event, err := registry.Decode(name, golden)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		current, err := registry.current(name)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if want := registry.types[current].sample; !reflect.DeepEqual(event, want) {
			t.Errorf("%s decodes to\n%+v, want\n%+v", file, event, want)
		}
	}
}

func indent(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, data, "", "  "); err != nil {
		t.Fatal(err)
	}
	b.WriteByte('\n')
	return b.Bytes()
}

func loyaltyEvents(t testing.TB) *Registry {
	t.Helper()
	registry, err := LoyaltyEvents()
	if err != nil {
		t.Fatal(err)
	}
	return registry
}
