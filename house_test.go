package loyalty_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

const (
	pictureFile  = "docs/architecture.md"
	pictureBegin = "<!-- Made from the imports: make house -->\n"
	pictureEnd   = "<!-- End of what make house writes -->\n"
)

// TestThePictureOfTheHouseIsUpToDate compares the picture of the packages in docs/architecture.md with their imports. With
// LOYALTY_HOUSE=write, as make house sets it, it writes the picture instead.
func TestThePictureOfTheHouseIsUpToDate(t *testing.T) {
	text, err := os.ReadFile(pictureFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := bytes.Cut(text, []byte(pictureBegin))
	_, after, ended := bytes.Cut(rest, []byte(pictureEnd))
	if !found || !ended {
		t.Fatalf("%s lacks the two markers around the picture", pictureFile)
	}
	fresh := slices.Concat(before, []byte(pictureBegin), []byte(picture(importsOfPackages(t))), []byte(pictureEnd), after)
	if os.Getenv("LOYALTY_HOUSE") == "write" {
		if err := os.WriteFile(pictureFile, fresh, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(text, fresh) {
		t.Errorf("the picture of the packages in %s is out of date: run make house", pictureFile)
	}
}

func TestAPictureShowsEachArrowThatNoOtherImplies(t *testing.T) {
	got := picture(map[string]set{
		"cmd":    {"api": true, "api/web": true, "domain": true},
		"api":    {"api/web": true, "domain": true},
		"domain": {}, "api/web": {},
	})
	want := "```mermaid\nflowchart TD\n" +
		"    subgraph room_api[\"api\"]\n        api[\"api\"]\n        api_web[\"web\"]\n    end\n" +
		"    cmd[\"cmd\"]\n    domain[\"domain\"]\n" +
		"    api --> api_web\n    api --> domain\n    cmd --> api\n```\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

type set map[string]bool

// importsOfPackages gives, for each package of the product, those of ours that it imports. The packages of domain count as
// one. What only tests import, packages with a name that ends in test, is left out.
func importsOfPackages(t *testing.T) map[string]set {
	t.Helper()
	imports := map[string]set{}
	node := func(dir string) string {
		if under(dir, "domain") {
			return "domain"
		}
		return dir
	}
	eachImport(t, func(_, from, imported string) {
		if strings.HasSuffix(from, "test") {
			return
		}
		from = node(from)
		if imports[from] == nil {
			imports[from] = set{}
		}
		if ours, ok := strings.CutPrefix(imported, "loyalty/"); ok && node(ours) != from {
			imports[from][node(ours)] = true
		}
	})
	return imports
}

// picture draws packages as a Mermaid flowchart. Packages of one room, which is the first folder of their path, stand together.
// An arrow that other arrows imply is left out.
func picture(imports map[string]set) string {
	rooms := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(imports)) {
		room, _, _ := strings.Cut(name, "/")
		rooms[room] = append(rooms[room], name)
	}
	id := func(name string) string { return strings.NewReplacer("/", "_", "-", "_").Replace(name) }
	var b strings.Builder
	b.WriteString("```mermaid\nflowchart TD\n")
	for _, room := range slices.Sorted(maps.Keys(rooms)) {
		names := rooms[room]
		if len(names) == 1 {
			fmt.Fprintf(&b, "    %s[\"%s\"]\n", id(names[0]), names[0])
			continue
		}
		fmt.Fprintf(&b, "    subgraph room_%s[\"%s\"]\n", id(room), room)
		for _, name := range names {
			label := name
			if name != room {
				label = strings.TrimPrefix(name, room+"/")
			}
			fmt.Fprintf(&b, "        %s[\"%s\"]\n", id(name), label)
		}
		b.WriteString("    end\n")
	}
	for _, from := range slices.Sorted(maps.Keys(imports)) {
		for _, to := range slices.Sorted(maps.Keys(imports[from])) {
			if !implied(imports, from, to) {
				fmt.Fprintf(&b, "    %s --> %s\n", id(from), id(to))
			}
		}
	}
	b.WriteString("```\n")
	return b.String()
}

// implied says whether one package reaches another through a third.
func implied(imports map[string]set, from, to string) bool {
	seen := set{}
	var reaches func(name string) bool
	reaches = func(name string) bool {
		if imports[name][to] {
			return true
		}
		seen[name] = true
		for next := range imports[name] {
			if !seen[next] && reaches(next) {
				return true
			}
		}
		return false
	}
	for next := range imports[from] {
		if next != to && reaches(next) {
			return true
		}
	}
	return false
}
