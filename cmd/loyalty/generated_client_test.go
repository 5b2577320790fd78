package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"loyalty/api/auth"
	"loyalty/domain"
	"loyalty/internal/app"
)

// TestAGeneratedClient generates a client from docs/openapi.yaml, compiles it, and runs the tests of
// testdata/generatedclient through it, each against a program of its own. That folder is a module of its own, which pins the
// generator and what its output imports. The module is copied to a throwaway folder; the client is kept nowhere.
func TestAGeneratedClient(t *testing.T) {
	calls := buildGeneratedClient(t)
	for test, args := range map[string][]string{
		"TestEverythingCanBeDoneWithAGeneratedClient": nil,
		"TestAGeneratedClientUnderstandsEveryProblem": {"--rate-limit", "mobile=1"},
		"TestAGeneratedClientPlacesABatch":            nil,
	} {
		t.Run(test, func(t *testing.T) {
			data := t.TempDir()
			p := startDev(t, data, args...)
			secret, err := app.ReadSecret(app.Folder(data).TokenSecretFile())
			if err != nil {
				t.Fatal(err)
			}
			environment := []string{"BASE=" + p.base, "ADMIN=" + p.admin}
			for name, who := range map[string]auth.Claims{
				"SHOP": webshop, "SUPPORT": supportClaims, "ALICE": customer("alice"),
				"MOBILE": {Subject: "app", Role: auth.RoleChannel, Channel: domain.Mobile},
			} {
				token, err := auth.Mint(secret, who, time.Hour, time.Now())
				if err != nil {
					t.Fatal(err)
				}
				environment = append(environment, name+"="+token)
			}
			out := runTool(t, patience, filepath.Dir(calls), environment, calls, "-test.v", "-test.run", "^"+test+"$")
			if !strings.Contains(out, "--- PASS: "+test) {
				t.Errorf("%s did not run:\n%s", test, out)
			}
		})
	}
}

// buildGeneratedClient generates the client and compiles it with its tests. It gives the path of the tests' binary.
func buildGeneratedClient(t *testing.T) string {
	t.Helper()
	document, err := filepath.Abs("../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	module := t.TempDir()
	if err := os.CopyFS(module, os.DirFS("testdata/generatedclient")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(module, "client"), 0o700); err != nil {
		t.Fatal(err)
	}
	const timeout = 5 * time.Minute // the generator is downloaded and compiled once on a machine
	runTool(t, timeout, module, nil, "go", "tool", "oapi-codegen", "-config", "oapi-codegen.yaml", "-o", "client/client.gen.go", document)
	build := []string{"test", "-c", "-o", "calls.test"}
	if raceDetector {
		build = append(build, "-race")
	}
	runTool(t, timeout, module, nil, "go", append(build, ".")...)
	return filepath.Join(module, "calls.test")
}

// runTool runs a command in a folder, with more in its environment. The command must succeed; its output is returned.
func runTool(t *testing.T, timeout time.Duration, dir string, environment []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...)
	command.Dir, command.Env = dir, append(os.Environ(), environment...)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", command, err, out)
	}
	return string(out)
}
