package loyalty_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	quoted      = regexp.MustCompile("`([^`\n]+)`")
	filePath    = regexp.MustCompile(`^[\w.-]+(/[\w.-]+)+$`)
	packagePath = regexp.MustCompile(`(?:^|[\s'(])\./([\w-]+(?:/[\w-]+)*)`)
	link        = regexp.MustCompile(`\]\(([^)#\s]*)(#[^)\s]*)?\)`)
	heading     = regexp.MustCompile(`(?m)^#+ (.+)$`)
	testName    = regexp.MustCompile(`\b(?:Test|Benchmark)[A-Z]\w+`)
	testFunc    = regexp.MustCompile(`(?m)^func ((?:Test|Benchmark)\w+)\(`)
	notInSlug   = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// pages are the documents that must name what is there. Decisions in docs/adr and the changelog also name what was there once.
func pages(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{}
	for _, file := range append(files, "README.md", "CONTRIBUTING.md", "SECURITY.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pages[file] = string(text)
	}
	return pages
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestEveryPathThatADocumentNamesExists(t *testing.T) {
	for file, text := range pages(t) {
		for _, match := range quoted.FindAllStringSubmatch(text, -1) {
			name := match[1]
			room, _, _ := strings.Cut(name, "/")
			if filePath.MatchString(name) && (exists(room) || strings.HasSuffix(name, ".go")) && !exists(name) {
				t.Errorf("%s names %s, which does not exist", file, name)
			}
		}
		for _, match := range packagePath.FindAllStringSubmatch(text, -1) {
			if !exists(match[1]) {
				t.Errorf("%s names ./%s, which does not exist", file, match[1])
			}
		}
	}
}

func TestEveryPackageOfTheHouseExists(t *testing.T) {
	_, house, _ := strings.Cut(pages(t)[pictureFile], "\n## The house\n")
	house, _, _ = strings.Cut(house, pictureBegin)
	rows := 0
	for line := range strings.Lines(house) {
		names, isRow := strings.CutPrefix(line, "| `")
		if !isRow {
			continue
		}
		rows++
		names, _, _ = strings.Cut("`"+names, " |")
		for _, match := range quoted.FindAllStringSubmatch(names, -1) {
			if !exists(match[1]) {
				t.Errorf("%s has a row for the package %s, which does not exist", pictureFile, match[1])
			}
		}
	}
	if rows == 0 {
		t.Errorf("%s has no table of packages under the heading The house", pictureFile)
	}
}

func TestEveryLinkOfADocumentLeadsSomewhere(t *testing.T) {
	for file, text := range pages(t) {
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			target, anchor := match[1], strings.TrimPrefix(match[2], "#")
			if strings.Contains(target, "://") {
				continue
			}
			path := file
			if target != "" {
				path = filepath.Join(filepath.Dir(file), target)
			}
			content, err := os.ReadFile(path)
			if err != nil && !exists(path) {
				t.Errorf("%s links to %s, which does not exist", file, target)
			} else if anchor != "" && !slices.Contains(anchors(string(content)), anchor) {
				t.Errorf("%s links to %s, which has no heading #%s", file, path, anchor)
			}
		}
	}
}

// anchors gives the names under which the headings of a page are linked to, as forges make them.
func anchors(text string) []string {
	var all []string
	for _, match := range heading.FindAllStringSubmatch(text, -1) {
		plain := notInSlug.ReplaceAllString(strings.ToLower(match[1]), "")
		all = append(all, strings.ReplaceAll(plain, " ", "-"))
	}
	return all
}

func TestEveryTestThatIsNamedExists(t *testing.T) {
	there := map[string]bool{}
	err := filepath.WalkDir(".", func(file string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, "_test.go") {
			return err
		}
		text, err := os.ReadFile(file)
		for _, match := range testFunc.FindAllSubmatch(text, -1) {
			there[string(match[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	named := pages(t)
	named["Makefile"] = string(makefile)
	const store = "docs/event-store.md" // further down it has an example, and names tests of the event store's client
	named[store], _, _ = strings.Cut(named[store], "## In a Go test")
	for file, text := range named {
		for _, name := range testName.FindAllString(text, -1) {
			if !there[name] && !isPrefix(name, there) {
				t.Errorf("%s names %s, which does not exist", file, name)
			}
		}
	}
}

// isPrefix says whether a name given to -run or -bench selects some test.
func isPrefix(name string, there map[string]bool) bool {
	for test := range there {
		if strings.HasPrefix(test, name) {
			return true
		}
	}
	return false
}
