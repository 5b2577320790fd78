// Package web is the pages that people look at: plain HTML, CSS and ES modules, embedded in the binary. A page is the same for
// everybody; what it shows it asks the API for.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"maps"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

//go:embed files
var files embed.FS

// Paths of pages. Assets, which pages are made of, are below AssetsPath.
const (
	CustomerPath = "/"
	SupportPath  = "/support"
	AnalysisPath = "/analysis"
	StatusPath   = "/status"
	AssetsPath   = "/assets/"
)

// policy allows a page what comes from here and nothing else: no script and no style within the document, no frame around it, and
// no text turned into markup (Content Security Policy Level 3; Trusted Types).
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; font-src 'self'; " +
	"manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// Pages answers requests for pages and what they are made of. It may be used from many goroutines at once.
type Pages struct {
	files map[string]file
}

// file is one of them, as it goes over the wire.
type file struct {
	name          string
	plain, zipped []byte
	// etag is without the quotes.
	etag string
}

// Load reads all pages and compresses them.
func Load() (*Pages, error) {
	p := &Pages{files: make(map[string]file)}
	root, err := fs.Sub(files, "files")
	if err != nil {
		return nil, err
	}
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		f, err := read(root, name)
		p.files[pathOf(name)] = f
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("load the pages: %w", err)
	}
	return p, nil
}

func read(root fs.FS, name string) (file, error) {
	plain, err := fs.ReadFile(root, name)
	if err != nil {
		return file{}, err
	}
	var zipped bytes.Buffer
	zip, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return file{}, err
	}
	// A buffer takes whatever it is given.
	_, _ = zip.Write(plain)
	_ = zip.Close()
	sum := sha256.Sum256(plain)
	return file{name: path.Base(name), plain: plain, zipped: zipped.Bytes(), etag: base64.RawURLEncoding.EncodeToString(sum[:12])}, nil
}

// pathOf is where a file is asked for: a page without its ending, the first of them at the root.
func pathOf(name string) string {
	page, isPage := strings.CutSuffix(name, ".html")
	switch {
	case page == "index":
		return CustomerPath
	case isPage:
		return "/" + page
	}
	return "/" + name
}

// Paths are all that there are, pages and assets, in order.
func (p *Pages) Paths() []string { return slices.Sorted(maps.Keys(p.files)) }

// ServeHTTP answers with the file at the request's path: with 304 if the browser has it already, and compressed if it wants that.
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := p.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Vary", "Accept-Encoding")
	// A browser asks each time whether there is another, so that a new version is whole at once.
	header.Set("Cache-Control", "no-cache")
	header.Set("X-Content-Type-Options", "nosniff")
	if strings.HasPrefix(r.URL.Path, AssetsPath) {
		// The element of the dashboard is for pages elsewhere too. Assets are public, and hold nobody's data.
		header.Set("Access-Control-Allow-Origin", "*")
		header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	} else {
		Protect(header)
	}
	content, etag := f.plain, `"`+f.etag+`"`
	if takesGzip(r.Header) {
		content, etag = f.zipped, `"`+f.etag+`-gzip"`
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("Etag", etag)
	header.Set("Content-Type", typeOf(f.name))
	http.ServeContent(w, r, f.name, time.Time{}, bytes.NewReader(content))
}

// Protect sets the headers of an HTML document.
func Protect(header http.Header) {
	header.Set("Content-Security-Policy", policy)
	// The address of a page may name a customer.
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("X-Content-Type-Options", "nosniff")
}

// types are told here and not looked up, because the machine's own table may say otherwise.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

func typeOf(name string) string {
	if known, ok := types[path.Ext(name)]; ok {
		return known
	}
	return mime.TypeByExtension(path.Ext(name))
}

// takesGzip tells whether the reader of an answer accepts it compressed (RFC 9110 section 12.5.3).
func takesGzip(header http.Header) bool {
	for _, value := range header.Values("Accept-Encoding") {
		for coding := range strings.SplitSeq(value, ",") {
			name, parameters, _ := strings.Cut(strings.TrimSpace(coding), ";")
			if strings.EqualFold(strings.TrimSpace(name), "gzip") {
				quality, _ := strings.CutPrefix(strings.ReplaceAll(parameters, " ", ""), "q=")
				return strings.Trim(quality, "0.") != "" || quality == ""
			}
		}
	}
	return false
}
