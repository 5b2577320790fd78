// Package loyalty_test keeps the shape of the house: which package may import which, and where each library lives.
package loyalty_test

import (
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// arrows says for each package, and all below it, which others of ours it may import. The longest matching entry counts.
var arrows = map[string][]string{
	"domain":                                  {"domain"},
	"commands":                                {"domain", "eventstore"},
	"bus":                                     {"domain", "commands", "eventstore", "eventstore/consumer", "projections", "internal/strictjson", "internal/problem"},
	"bus/redis":                               {"domain", "bus", "internal/redisurl"},
	"bus/bustest":                             {"domain", "commands", "eventstore", "eventstore/storetest", "bus"},
	"eventstore":                              {"domain"},
	"eventstore/embedded":                     {},
	"eventstore/embedded/embeddedtest":        {"eventstore/embedded"},
	"eventstore/grant":                        {"domain", "eventstore"},
	"eventstore/consumer":                     {"domain", "eventstore"},
	"eventstore/reading":                      {"domain", "eventstore"},
	"eventstore/topics":                       {"domain", "eventstore"},
	"eventstore/storetest":                    {"domain", "eventstore", "eventstore/embedded/embeddedtest"},
	"projections":                             {"domain", "eventstore", "eventstore/reading", "eventstore/topics", "readmodels/ledger", "readmodels/leaderboard", "readmodels/history"},
	"readmodels/ledger":                       {"domain"},
	"readmodels/ledger/sqlite":                {"domain", "readmodels/ledger"},
	"readmodels/ledger/postgres":              {"domain", "readmodels/ledger", "readmodels/ledger/postgres/schema"},
	"readmodels/ledger/postgres/schema":       {},
	"readmodels/ledger/postgres/postgrestest": {},
	"readmodels/ledger/ledgertest":            {"domain", "readmodels/ledger"},
	"readmodels/leaderboard":                  {"domain"},
	"readmodels/leaderboard/memory":           {"domain", "readmodels/leaderboard"},
	"readmodels/leaderboard/redis":            {"domain", "readmodels/leaderboard", "internal/redisurl"},
	"readmodels/leaderboard/redis/redistest":  {},
	"readmodels/leaderboard/leaderboardtest":  {"domain", "readmodels/leaderboard"},
	"readmodels/history":                      {"domain", "readmodels/leaderboard"},
	"analytics/export":                        {"domain", "eventstore"},
	"analytics/replay":                        {"domain", "eventstore", "projections", "readmodels/ledger", "readmodels/leaderboard", "analytics/export"},
	"queries":                                 {"domain", "eventstore", "internal/english", "readmodels/ledger", "readmodels/leaderboard", "readmodels/history"},
	"queries/view":                            {"domain", "queries", "readmodels/ledger"},
	"api":                                     {"domain", "api/accounts", "api/admin", "api/admission", "api/auth", "api/dashboards", "api/orders", "api/past", "api/request", "api/staff", "api/web", "readmodels/history", "readmodels/leaderboard", "readmodels/ledger", "internal/problem"},
	"api/request":                             {"domain", "api/auth", "commands", "readmodels/history", "internal/problem", "internal/strictjson"},
	"api/admission":                           {"domain", "api/auth", "internal/problem"},
	"api/slowclient":                          {},
	"api/orders":                              {"domain", "api/admission", "api/auth", "api/request", "api/slowclient", "commands", "internal/problem", "internal/strictjson"},
	"api/accounts":                            {"domain", "api/admission", "api/auth", "api/request", "api/slowclient", "commands", "queries/view", "readmodels/ledger", "internal/problem", "internal/strictjson"},
	"api/dashboards":                          {"domain", "api/admission", "api/auth", "api/request", "readmodels/history", "readmodels/leaderboard", "internal/problem"},
	"api/past":                                {"domain", "analytics/replay", "api/admission", "api/auth", "api/request", "api/slowclient", "queries", "queries/view", "readmodels/history", "readmodels/leaderboard", "readmodels/ledger", "internal/problem", "internal/strictjson"},
	"api/staff":                               {"domain", "api/admission", "api/auth", "api/request", "commands", "queries", "queries/view", "readmodels/ledger", "internal/strictjson"},
	"api/admin":                               {"domain", "api/request", "internal/problem"},
	"api/web":                                 {"domain", "api/admission", "api/auth", "api/request", "internal/problem", "internal/strictjson"},
	"api/bodytest":                            {"domain", "internal/problem", "internal/strictjson"},
	"api/baseline":                            {},
	"api/auth":                                {"domain", "api/auth/keys", "internal/problem"},
	"api/auth/keys":                           {"domain"},
	"api/auth/keys/keystest":                  {"api/auth/keys"},
	"api/auth/signin":                         {"domain", "api/auth", "api/auth/keys"},
	"api/auth/signin/signintest":              {},
	"api/browsertest":                         {},
	"internal/problem":                        {"domain", "internal/strictjson"},
	"internal/outage":                         {"internal/problem"},
	"internal/strictjson":                     {"domain"},
	"internal/secret":                         {},
	"internal/english":                        {},
	"internal/redisurl":                       {},
	"internal/app": {
		"domain", "commands", "eventstore", "eventstore/embedded", "eventstore/reading", "projections", "readmodels/ledger", "readmodels/ledger/postgres", "readmodels/ledger/sqlite", "readmodels/leaderboard",
		"readmodels/leaderboard/memory", "readmodels/leaderboard/redis", "readmodels/history", "analytics/replay", "queries", "bus", "bus/redis", "api", "api/admin", "api/admission", "api/auth", "api/auth/keys", "api/web",
		"internal/outage", "internal/secret",
	},
	"internal/cli": {
		"domain", "eventstore", "eventstore/embedded", "eventstore/grant", "projections", "readmodels/ledger", "readmodels/history", "bus/redis", "api/auth",
		"internal/app", "internal/bench", "internal/cli/analyst", "internal/cli/flags", "internal/english", "internal/cli/output", "internal/cli/support",
	},
	"internal/cli/flags":   {"domain", "commands", "eventstore/embedded", "projections", "api/admission", "api/auth", "api/auth/keys", "api/auth/signin", "api/web", "internal/app", "internal/secret"},
	"internal/cli/output":  {"domain", "internal/english"},
	"internal/cli/support": {"domain", "commands", "eventstore", "projections", "readmodels/ledger", "readmodels/history", "queries", "queries/view", "internal/app", "internal/cli/flags", "internal/english", "internal/cli/output"},
	"internal/cli/analyst": {"domain", "analytics/export", "analytics/replay", "internal/app", "internal/cli/flags", "internal/english", "internal/cli/output"},
	"internal/bench":       {"domain", "readmodels/ledger", "readmodels/leaderboard", "readmodels/leaderboard/memory", "readmodels/leaderboard/redis", "api", "api/auth", "api/auth/keys", "api/baseline", "internal/app", "internal/cli/flags", "internal/english", "internal/cli/output"},
	"cmd":                  {"internal/cli"},
}

// homes says for each library where alone it may be imported.
var homes = map[string][]string{
	"github.com/EventStore/EventStore-Client-Go":     {"eventstore"},
	"github.com/cockroachdb/pebble":                  {"eventstore/embedded"},
	"github.com/dlclark/regexp2":                     {"eventstore/embedded"},
	"github.com/labstack/echo":                       {"api"},
	"github.com/go-json-experiment/json":             {"internal/strictjson"},
	"github.com/golang-jwt/jwt":                      {"api/auth"},
	"github.com/go-jose/go-jose":                     {"api/auth/keys"},
	"github.com/coreos/go-oidc":                      {"api/auth/signin"},
	"golang.org/x/oauth2":                            {"api/auth/signin"},
	"github.com/jackc/pgx":                           {"readmodels/ledger/postgres"},
	"github.com/redis/go-redis":                      {"readmodels/leaderboard/redis", "bus/redis", "internal/redisurl"},
	"github.com/ThreeDotsLabs/watermill-redisstream": {"bus/redis"},
	"modernc.org/sqlite":                             {"readmodels/ledger/sqlite"},
	"github.com/pressly/goose":                       {"readmodels/ledger"},
	"github.com/alecthomas/kong":                     {"internal/cli"},
	"github.com/chromedp":                            {"api/browsertest"},
	"github.com/parquet-go/parquet-go":               {"analytics"},
	"github.com/goccy/go-yaml":                       {"analytics/replay"},
}

func TestImportsFollowTheArrowsOfTheDesign(t *testing.T) {
	seen := map[string]bool{}
	eachImport(t, func(file, from, imported string) {
		entry := longest(from, arrows)
		seen[entry] = true
		if ours, ok := strings.CutPrefix(imported, "loyalty/"); ok {
			if entry == "" {
				t.Fatalf("%s: package %s is in no entry of the arrows", file, from)
			}
			if !allowed(ours, from, entry) {
				t.Errorf("%s: %s must not import %s", file, from, ours)
			}
		}
		if under(from, "domain") && strings.Contains(strings.Split(imported, "/")[0], ".") {
			t.Errorf("%s: domain is the standard library only, not %s", file, imported)
		}
		for library, places := range homes {
			if under(imported, library) && !underAny(from, places) {
				t.Errorf("%s: %s belongs in %v, not in %s", file, library, places, from)
			}
		}
	})
	for entry := range arrows {
		if !seen[entry] {
			t.Errorf("no package %s was seen: the table of arrows is out of date", entry)
		}
	}
}

// allowed: its own packages below the entry, and what the arrows name, exactly, so that no adapter slips in; domain's
// packages come with domain.
func allowed(ours, from, entry string) bool {
	for _, target := range arrows[entry] {
		if ours == target || (target == "domain" && under(ours, "domain")) {
			return true
		}
	}
	return under(ours, from) && longest(ours, arrows) == entry
}

func longest(dir string, table map[string][]string) string {
	var best string
	for entry := range table {
		if under(dir, entry) && len(entry) > len(best) {
			best = entry
		}
	}
	return best
}

func under(dir, parent string) bool { return dir == parent || strings.HasPrefix(dir, parent+"/") }

func underAny(dir string, parents []string) bool {
	for _, parent := range parents {
		if under(dir, parent) {
			return true
		}
	}
	return false
}

// eachProductFile visits every Go file that is no test, with its folder.
func eachProductFile(t *testing.T, visit func(file, dir string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && file != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, "_test.go") {
			visit(file, path.Dir(filepath.ToSlash(file)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// eachImport visits every import of every Go file that is no test.
func eachImport(t *testing.T, visit func(file, from, imported string)) {
	t.Helper()
	eachProductFile(t, func(file, dir string) {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			visit(file, dir, imported)
		}
	})
}

// A reader takes a package in at one sitting.
const (
	maxFiles = 15
	maxLines = 2500
)

func TestNoPackageOfTheProductIsTooLarge(t *testing.T) {
	type size struct{ files, lines int }
	sizes := map[string]size{}
	eachProductFile(t, func(file, dir string) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s := sizes[dir]
		sizes[dir] = size{s.files + 1, s.lines + bytes.Count(text, []byte("\n"))}
	})
	for dir, s := range sizes {
		// The event store is a product of its own, and packages named …test hold tests and contracts.
		if dir == "eventstore/embedded" || strings.HasSuffix(dir, "test") {
			continue
		}
		if s.files > maxFiles || s.lines > maxLines {
			t.Errorf("package %s has %d files and %d lines: more than %d or %d", dir, s.files, s.lines, maxFiles, maxLines)
		}
	}
}
