package browsertest

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/chromedp/chromedp"
)

// The checks of axe-core are fetched from the npm registry, in the version that this sum is of.
const (
	axeVersion = "4.14.1"
	axeSum     = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
)

// axe is its source, fetched once.
var axe = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	kept := filepath.Join(cache, "loyalty", "axe-core-"+axeVersion+".js")
	if source, err := os.ReadFile(kept); err == nil && isAxe(source) {
		return string(source), nil
	}
	source, err := fetchAxe()
	if err != nil {
		return "", fmt.Errorf("fetch axe-core with npm: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
		return "", err
	}
	// Other packages' tests may read it while it is written.
	temporary, err := os.CreateTemp(filepath.Dir(kept), "axe-core")
	if err != nil {
		return "", err
	}
	_, err = temporary.Write(source)
	if err := errors.Join(err, temporary.Close(), os.Rename(temporary.Name(), kept)); err != nil {
		return "", err
	}
	return string(source), nil
})

func isAxe(source []byte) bool {
	sum := sha256.Sum256(source)
	return hex.EncodeToString(sum[:]) == axeSum
}

func fetchAxe() ([]byte, error) {
	dir, err := os.MkdirTemp("", "axe")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 3*pageTimeout)
	defer cancel()
	pack := exec.CommandContext(ctx, "npm", "pack", "axe-core@"+axeVersion, "--silent", "--pack-destination", dir)
	pack.Dir = dir
	if said, err := pack.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, said)
	}
	archive, err := os.Open(filepath.Join(dir, "axe-core-"+axeVersion+".tgz"))
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	unzipped, err := gzip.NewReader(archive)
	if err != nil {
		return nil, err
	}
	for files := tar.NewReader(unzipped); ; {
		file, err := files.Next()
		if err != nil {
			return nil, err
		}
		if file.Name != "package/axe.min.js" {
			continue
		}
		source, err := io.ReadAll(files)
		if err == nil && !isAxe(source) {
			err = errors.New("it is not the one that was checked: its sum is another")
		}
		return source, err
	}
}

// Accessible fails the test for everything in which the page violates WCAG 2.2 at level AA, or good practice, as far as axe-core can tell.
func (tab *Tab) Accessible() {
	tab.t.Helper()
	source, err := axe()
	if err != nil {
		tab.t.Fatal(err)
	}
	// What fades in has other colours until it has.
	tab.still()
	do(tab, "load axe-core", chromedp.Evaluate[chromedp.Void]("(() => {"+source+"\nreturn null})()"))
	var found []string
	tab.Eval(`axe.run(document, {
  resultTypes: ["violations"],
  runOnly: { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] },
}).then((result) => result.violations.flatMap((violation) => violation.nodes.map((node) =>
  violation.id + " (" + violation.help + ") at " + node.target.join(" ") + ": " + node.failureSummary)))`, &found)
	if len(found) > 0 {
		tab.t.Errorf("%d violations:\n%s", len(found), strings.Join(found, "\n"))
	}
}
