package browsertest

import (
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

// attempt is a test within a test: it takes what fails in it, so that failing can be what is wanted.
type attempt struct {
	testing.TB
	said     []string
	cleanups []func()
}

func (a *attempt) Helper()           {}
func (a *attempt) Cleanup(f func())  { a.cleanups = append(a.cleanups, f) }
func (a *attempt) Error(args ...any) { a.said = append(a.said, fmt.Sprint(args...)) }
func (a *attempt) Errorf(format string, args ...any) {
	a.said = append(a.said, fmt.Sprintf(format, args...))
}

// of gives what is said of a page on which the attempt does something.
func of(t *testing.T, body string, do func(*Tab)) string {
	t.Helper()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", "default-src 'self'; require-trusted-types-for 'script'")
			fmt.Fprint(w, `<!doctype html><html lang="en"><head><title>A page</title><link rel="icon" href="/icon"><script type="module" src="/script"></script></head><body><main><h1>A page</h1>`+body+`</main></body></html>`)
		case "/script":
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprint(w, script)
		case "/icon":
		default:
			http.NotFound(w, r)
		}
	}))
	defer site.Close()
	a := &attempt{TB: t}
	tab := Open(a)
	tab.Go(site.URL)
	if do != nil {
		do(tab)
	}
	for len(a.cleanups) > 0 {
		last := a.cleanups[len(a.cleanups)-1]
		a.cleanups = a.cleanups[:len(a.cleanups)-1]
		last()
	}
	return strings.Join(a.said, "\n")
}

// script is what the pages of these tests do.
const script = `
customElements.define("a-shadow", class extends HTMLElement {
  connectedCallback() {
    const root = this.attachShadow({ mode: "open" });
    const label = document.createElement("label");
    label.append("Inside ", Object.assign(document.createElement("input"), { id: "inside" }));
    const button = Object.assign(document.createElement("button"), { id: "press", textContent: "Press" });
    button.onclick = () => { root.getElementById("inside").value += "!"; };
    root.append(label, button);
  }
});
const act = { throw: () => { throw new Error("thrown on purpose"); }, log: () => console.error("logged on purpose"), inline: () => document.body.setAttribute("style", "color: red"),
  markup: () => { document.body.innerHTML = "<p>"; }, fetch: () => fetch("/nowhere") };
for (const button of document.querySelectorAll("button[data-act]")) button.onclick = act[button.dataset.act];
addEventListener("keydown", (e) => { document.body.dataset.keys = (document.body.dataset.keys ?? "") + "," + e.key; });
`

func TestWhatGoesWrongInAPageFailsItsTest(t *testing.T) {
	for act, want := range map[string]string{
		"throw": "thrown on purpose", "log": "logged on purpose", "inline": "Content Security Policy", "markup": "TrustedHTML", "fetch": "404",
	} {
		t.Run(act, func(t *testing.T) {
			press := func(tab *Tab) {
				tab.Click("button[data-act]")
				tab.Eval("new Promise((resolve) => setTimeout(resolve, 100))", nil)
			}
			body := `<button data-act="` + act + `">Do it</button>`
			if said := of(t, body, press); !strings.Contains(said, want) {
				t.Errorf("said is %q, want %q", said, want)
			}
			allowed := func(tab *Tab) { tab.Allow(want); press(tab) }
			if said := of(t, body, allowed); said != "" {
				t.Errorf("it was allowed, and said is %q", said)
			}
		})
	}
}

func TestAPageWithoutFaultPasses(t *testing.T) {
	said := of(t, `<p>All is well.</p>`, func(tab *Tab) { tab.Accessible(); tab.Fits() })
	if said != "" {
		t.Error(said)
	}
}

func TestWhatSomeCanNotUseFailsATest(t *testing.T) {
	said := of(t, `<img src="/icon"><input id="unlabelled"><a-shadow></a-shadow>`, (*Tab).Accessible)
	for _, rule := range []string{"image-alt", "label (", "#unlabelled"} {
		if !strings.Contains(said, rule) {
			t.Errorf("without %s: %s", rule, said)
		}
	}
	if strings.Contains(said, "#inside") {
		t.Errorf("what has a label is blamed: %s", said)
	}
}

func TestAShadowIsLookedIntoForWhatSomeCanNotUse(t *testing.T) {
	said := of(t, `<a-shadow></a-shadow>`, func(tab *Tab) {
		tab.Eval(`deep("#inside").parentNode.replaceWith(deep("#inside"))`, nil)
		tab.Accessible()
	})
	if !strings.Contains(said, "label (") || !strings.Contains(said, "#inside") {
		t.Errorf("said is %q", said)
	}
}

func TestWhatSticksOutIsNamed(t *testing.T) {
	wide := `<table><tr><td id="wide"><pre>` + strings.Repeat("a", 200) + `</pre></td></tr></table>`
	said := of(t, wide, func(tab *Tab) { tab.Size(360, 640); tab.Fits() })
	if !strings.Contains(said, "of 360 pixels") || !strings.Contains(said, "td#wide until") {
		t.Errorf("said is %q", said)
	}
}

func TestInputIsThatOfAPerson(t *testing.T) {
	body := `<a-shadow></a-shadow><label>Range <input type="range" id="range" min="0" max="1000" value="1000"></label>` +
		`<label>Day <input type="date" id="day"></label><label>Choice <select id="choice"><option>one</option><option>two</option></select></label>` +
		`<label>Text <input id="text" value="before"></label>`
	said := of(t, body, func(tab *Tab) {
		tab.Wait(`deep("#inside")`)
		tab.Type("#inside", "typed")
		tab.Click("#press")
		tab.Type("#day", "2026-11-22")
		tab.Type("#choice", "two")
		tab.Type("#text", "after")
		tab.Drag("#range", 0.25)
		tab.Key("/\t")
		var got struct {
			Inside, Day, Choice, Text, Keys string
			Range                           int
		}
		tab.Eval(`({ Inside: deep("#inside").value, Day: deep("#day").value, Choice: deep("#choice").value, Text: deep("#text").value,
			Range: deep("#range").valueAsNumber, Keys: document.body.dataset.keys ?? "" })`, &got)
		if got.Inside != "typed!" || got.Day != "2026-11-22" || got.Choice != "two" || got.Text != "after" || got.Keys != ",/,Tab" {
			t.Errorf("the page has %+v", got)
		}
		if got.Range < 230 || got.Range > 270 {
			t.Errorf("the range is at %d, dragged to a quarter", got.Range)
		}
		tab.Type("#text", "")
		if text := ""; true {
			tab.Eval(`deep("#text").value`, &text)
			if text != "" || tab.Focused() != "text" {
				t.Errorf("the text is %q, the focus on %s", text, tab.Focused())
			}
		}
	})
	if said != "" {
		t.Error(said)
	}
}

func TestTheReadersWishesReachThePage(t *testing.T) {
	said := of(t, `<p>Prefers</p>`, func(tab *Tab) {
		is := func(query string, want bool) {
			t.Helper()
			var got bool
			tab.Eval(fmt.Sprintf("matchMedia(%q).matches", query), &got)
			if got != want {
				t.Errorf("%s is %t", query, got)
			}
		}
		is("(prefers-color-scheme: dark)", false)
		tab.Dark(true)
		is("(prefers-color-scheme: dark)", true)
		tab.ReducedMotion(true)
		is("(prefers-reduced-motion: reduce)", true)
		is("(prefers-color-scheme: dark)", true)
		tab.Size(360, 640)
		is("(width: 360px)", true)
	})
	if said != "" {
		t.Error(said)
	}
}

func TestATabThatIsOfflineReachesNobody(t *testing.T) {
	said := of(t, `<p>On and off</p>`, func(tab *Tab) {
		tab.Offline(true)
		tab.Wait(`!navigator.onLine`)
		var reached bool
		tab.Eval(`fetch("/").then(() => true, () => false)`, &reached)
		if reached {
			t.Error("it reached the site")
		}
		tab.Offline(false)
		tab.Wait(`navigator.onLine`)
		tab.Eval(`fetch("/").then(() => true, () => false)`, &reached)
		if !reached {
			t.Error("it reaches the site no more")
		}
	})
	if said != "" {
		t.Error(said)
	}
}

func TestTabsShareNoCookies(t *testing.T) {
	of(t, `<p>One</p>`, func(one *Tab) {
		var address string
		one.Eval("location.origin", &address)
		one.Cookie(address, "session", "one")
		if got := one.Cookies()["session"]; got != "one" {
			t.Errorf("the cookie is %q", got)
		}
		another := Open(t)
		another.Go(address)
		if got := another.Cookies(); len(got) != 0 {
			t.Errorf("another tab has %v", got)
		}
	})
}

func TestAPictureIsOfTheWholePage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pictures", "page.png")
	of(t, `<p>Long</p><pre>`+strings.Repeat("\n", 200)+`</pre>`, func(tab *Tab) { tab.Size(360, 640); tab.Screenshot(file) })
	picture, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer picture.Close()
	size, err := png.DecodeConfig(picture)
	if err != nil || size.Width != 360 || size.Height < 2000 {
		t.Errorf("the picture has %d×%d pixels, %v", size.Width, size.Height, err)
	}
}
