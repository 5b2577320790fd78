package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, p *Pages, path string, header http.Header) *http.Response {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	if header != nil {
		r.Header = header
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w.Result()
}

func load(t *testing.T) *Pages {
	t.Helper()
	p, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEveryFileIsServedAsWhatItIsWholeOrCompressed(t *testing.T) {
	p := load(t)
	for _, path := range p.Paths() {
		plain, zipped := get(t, p, path, nil), get(t, p, path, http.Header{"Accept-Encoding": {"br, gzip"}})
		want, err := io.ReadAll(plain.Body)
		if err != nil || plain.StatusCode != 200 || len(want) == 0 || plain.Header.Get("Content-Encoding") != "" {
			t.Fatalf("%s is answered with %s, %v", path, plain.Status, err)
		}
		if kind := plain.Header.Get("Content-Type"); kind == "" || strings.HasPrefix(kind, "text/plain") {
			t.Errorf("%s is said to be %q", path, kind)
		}
		if zipped.Header.Get("Content-Encoding") != "gzip" || zipped.Header.Get("Vary") != "Accept-Encoding" {
			t.Fatalf("%s is not compressed for those who want it", path)
		}
		unzip, err := gzip.NewReader(zipped.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(unzip); err != nil || string(got) != string(want) {
			t.Errorf("%s is another when it is compressed (%v)", path, err)
		}
		if zipped.Header.Get("Etag") == plain.Header.Get("Etag") {
			t.Errorf("%s has one tag for two forms", path)
		}
	}
}

func TestWhatABrowserHasIsNotSentAgain(t *testing.T) {
	p := load(t)
	path := AssetsPath + "site.css"
	tag := get(t, p, path, nil).Header.Get("Etag")
	if got := get(t, p, path, http.Header{"If-None-Match": {tag}}); got.StatusCode != http.StatusNotModified {
		t.Errorf("answered with %s", got.Status)
	}
	if got := get(t, p, path, http.Header{"If-None-Match": {`"other"`}}); got.StatusCode != http.StatusOK {
		t.Errorf("another version is answered with %s", got.Status)
	}
}

func TestCompressionIsForThoseWhoTakeIt(t *testing.T) {
	for accept, want := range map[string]bool{
		"gzip": true, "GZIP": true, "br;q=1, gzip;q=0.5": true, "gzip;q=0": false, "gzip; q=0.000": false, "br": false, "": false, "xgzip": false, "deflate,gzip;q=1.0": true,
	} {
		if got := takesGzip(http.Header{"Accept-Encoding": {accept}}); got != want {
			t.Errorf("%q: %t", accept, got)
		}
	}
}

func TestPagesAllowNothingButWhatIsOurs(t *testing.T) {
	p := load(t)
	for _, path := range p.Paths() {
		header := get(t, p, path, nil).Header
		if strings.HasPrefix(path, AssetsPath) {
			if header.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s can't be part of other pages", path)
			}
			continue
		}
		csp := header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s has the policy %q, without %s", path, csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") || header.Get("Referrer-Policy") != "same-origin" || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s has the headers %v", path, header)
		}
	}
}

// What the policy would block shows in no test of a file alone; in a browser it does, but not for every state of a page.
func TestNoFileHasWhatThePolicyBlocks(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<style|<script(>| (type="module">))|\sstyle="|\son[a-z]+="|javascript:`)
	markup := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\("style"`)
	elsewhere := regexp.MustCompile(`(?i)(src|href)="(https?:)?//`)
	p := load(t)
	for path, f := range p.files {
		text := string(f.plain)
		for _, forbidden := range []*regexp.Regexp{markup, elsewhere} {
			if found := forbidden.FindString(text); found != "" {
				t.Errorf("%s has %q", path, found)
			}
		}
		if found := inline.FindString(text); found != "" && strings.HasSuffix(f.name, ".html") {
			t.Errorf("%s has %q", path, found)
		}
	}
}

// A first paint fetches the page, its style, and the modules it is made of.
func TestTheFirstPaintOfThePageForCustomersIsUnder100KB(t *testing.T) {
	p := load(t)
	if _, ok := p.files[CustomerPath]; !ok {
		t.Fatal("there is no page for customers")
	}
	reference := regexp.MustCompile(`/assets/[a-z0-9-]+\.[a-z]+|"\./([a-z0-9-]+\.js)"`)
	total, seen := 0, map[string]bool{}
	var fetch func(path string)
	fetch = func(path string) {
		f, ok := p.files[path]
		if !ok {
			t.Fatalf("there is no %s", path)
		}
		if seen[path] {
			return
		}
		seen[path] = true
		total += len(f.zipped)
		for _, found := range reference.FindAllStringSubmatch(string(f.plain), -1) {
			next := found[0]
			if found[1] != "" {
				next = AssetsPath + found[1]
			}
			fetch(next)
		}
	}
	fetch(CustomerPath)
	t.Logf("%d files, %d bytes", len(seen), total)
	if len(seen) < 3 || total > 100_000 {
		t.Errorf("%d files of %d bytes together", len(seen), total)
	}
}

func TestAPathThatIsNoneIsNotFound(t *testing.T) {
	p := load(t)
	for _, path := range []string{"/nowhere", "/assets/", "/assets/../web.go", "/index.html", "/files/index.html"} {
		if got := get(t, p, path, nil); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s is answered with %s", path, got.Status)
		}
	}
}
