package browsertest

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/chromedp/chromedp"
)

// Fits fails the test if the page is wider than the tab, and names what sticks out.
func (tab *Tab) Fits() {
	tab.t.Helper()
	var out []string
	tab.Eval(`(() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const found = [];
  const scrolls = (element) => {
    for (let e = element.parentNode; e; e = e.parentNode ?? e.host) if (e instanceof Element && getComputedStyle(e).overflowX !== "visible") return true;
    return false;
  };
  const look = (root) => {
    for (const element of root.querySelectorAll("*")) {
      const box = element.getBoundingClientRect();
      if (box.right > width + 0.5 && !scrolls(element)) found.push(element.tagName.toLowerCase() + (element.id && "#" + element.id) + " until " + Math.round(box.right));
      if (element.shadowRoot) look(element.shadowRoot);
    }
  };
  look(document);
  return ["the page has " + document.documentElement.scrollWidth + " of " + width + " pixels", ...found.slice(0, 10)];
})()`, &out)
	if len(out) > 0 {
		tab.t.Errorf("the page does not fit: %s", strings.Join(out, "; "))
	}
}

// still waits until nothing on the page moves any more.
func (tab *Tab) still() {
	tab.t.Helper()
	tab.Wait(`(function still(root) {
  return root.getAnimations().every((a) => a.playState !== "running" || a.effect?.getComputedTiming().iterations === Infinity) &&
    [...root.querySelectorAll("*")].every((e) => !e.shadowRoot || still(e.shadowRoot));
})(document)`)
}

// Screenshot writes a picture of the whole page to a file in PNG, whose folder is made if need be. It has 256 colours at most, of which
// text at its edges would have thousands, so that it is small enough to keep.
func (tab *Tab) Screenshot(file string) {
	tab.t.Helper()
	tab.still()
	picture, err := png.Decode(bytes.NewReader(do(tab, "take a picture", chromedp.FullScreenshot(100))))
	if err != nil {
		tab.t.Fatal(err)
	}
	var small bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	err = encoder.Encode(&small, paletted(picture))
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), 0o755)
	}
	if err == nil {
		err = os.WriteFile(file, small.Bytes(), 0o644)
	}
	if err != nil {
		tab.t.Fatal(err)
	}
}

// paletted is a picture in its most frequent colours that can be told apart; the others become the nearest of those.
func paletted(picture image.Image) *image.Paletted {
	const most = 256
	bounds := picture.Bounds()
	all := image.NewRGBA(bounds)
	draw.Draw(all, bounds, picture, bounds.Min, draw.Src)
	pixel := func(i int) color.RGBA {
		return color.RGBA{all.Pix[i], all.Pix[i+1], all.Pix[i+2], all.Pix[i+3]}
	}
	// Pages are mostly runs of one colour.
	counts := map[color.RGBA]int{}
	for i, run := 0, 1; i < len(all.Pix); i, run = i+4, run+1 {
		if i+4 == len(all.Pix) || pixel(i) != pixel(i+4) {
			counts[pixel(i)] += run
			run = 0
		}
	}
	colours := slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	palette := color.Palette{}
	for apart := 4; len(palette) == 0 || len(palette) > most; apart *= 2 {
		palette = palette[:0]
		for _, colour := range colours {
			if !slices.ContainsFunc(palette, func(has color.Color) bool { return near(has.(color.RGBA), colour, apart) }) {
				palette = append(palette, colour)
			}
		}
	}
	nearest := make(map[color.RGBA]uint8, len(colours))
	for _, colour := range colours {
		nearest[colour] = uint8(palette.Index(colour))
	}
	reduced := image.NewPaletted(bounds, palette)
	for i := 0; i < len(all.Pix); i += 4 {
		if i > 0 && pixel(i) == pixel(i-4) {
			reduced.Pix[i/4] = reduced.Pix[i/4-1]
		} else {
			reduced.Pix[i/4] = nearest[pixel(i)]
		}
	}
	return reduced
}

// near tells whether no channel of two colours differs by more than apart.
func near(a, b color.RGBA, apart int) bool {
	differ := func(x, y uint8) bool { return max(x, y)-min(x, y) > uint8(min(apart, 255)) }
	return !differ(a.R, b.R) && !differ(a.G, b.G) && !differ(a.B, b.B)
}
