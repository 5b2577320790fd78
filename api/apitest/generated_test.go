package apitest_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// generator is the one that the Makefile names.
const generator = "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2"

func TestTheClientIsWhatTheDocumentGives(t *testing.T) {
	fresh := filepath.Join(t.TempDir(), "client.gen.go")
	command := exec.CommandContext(t.Context(), "go", "run", generator, "-config", "oapi-codegen.yaml", "-o", fresh, "../../docs/openapi.yaml")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", command, err, out)
	}
	want, err := os.ReadFile(fresh)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("client.gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("client.gen.go is not what docs/openapi.yaml gives: run make generate")
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(makefile, []byte(generator)) {
		t.Errorf("the Makefile generates with another version than %s", generator)
	}
}
