package browsertest

import (
	"fmt"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// reach waits until an element is there, shown, at rest and not covered, and gives its middle. An element that is out of sight is
// scrolled to.
func (tab *Tab) reach(selector string) (x, y float64) {
	tab.t.Helper()
	const source = `(() => {
  const element = deep(%q);
  if (!element) return false;
  element.scrollIntoView({ block: "center", inline: "nearest", behavior: "instant" });
  const box = element.getBoundingClientRect();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const moved = globalThis.reached?.[0] !== x || globalThis.reached?.[1] !== y;
  globalThis.reached = [x, y];
  if (box.width === 0 || box.height === 0 || moved || element.disabled) return false;
  let hit = document.elementFromPoint(x, y);
  while (hit?.shadowRoot) {
    const inside = hit.shadowRoot.elementFromPoint(x, y);
    if (!inside || inside === hit) break;
    hit = inside;
  }
  return element.contains(hit) || (hit && hit.contains(element) && hit.tagName === "LABEL");
})()`
	tab.Wait(fmt.Sprintf(source, selector))
	var point [2]float64
	tab.Eval("globalThis.reached", &point)
	return point[0], point[1]
}

// Click presses the mouse on the middle of the first element for a selector.
func (tab *Tab) Click(selector string) {
	tab.t.Helper()
	x, y := tab.reach(selector)
	do(tab, "click "+selector, chromedp.MouseClickXY(x, y))
}

// Hover moves the mouse to the middle of the first element for a selector.
func (tab *Tab) Hover(selector string) {
	tab.t.Helper()
	x, y := tab.reach(selector)
	do(tab, "hover over "+selector, chromedp.MouseEvent(chromedp.MouseMoved, x, y))
}

// Drag takes the thumb of a range input to a fraction of its way, 0 to 1, with the mouse.
func (tab *Tab) Drag(selector string, fraction float64) {
	tab.t.Helper()
	tab.reach(selector)
	var at struct{ Left, Width, Y, Now float64 }
	tab.Eval(fmt.Sprintf(`(() => {
  const range = deep(%q), box = range.getBoundingClientRect();
  const [least, most] = [Number(range.min || 0), Number(range.max || 100)];
  return { Left: box.left, Width: box.width, Y: box.y + box.height / 2, Now: (range.valueAsNumber - least) / (most - least || 1) };
})()`, selector), &at)
	// The thumb's middle stays half its width away from either end.
	const thumb = 16
	x := func(fraction float64) float64 { return at.Left + thumb/2 + (at.Width-thumb)*fraction }
	held := []chromedp.MouseOption{chromedp.ButtonLeft, chromedp.ClickCount(1)}
	way := []chromedp.Action[chromedp.Void]{
		chromedp.MouseEvent(chromedp.MouseMoved, x(at.Now), at.Y), chromedp.MouseEvent(chromedp.MousePressed, x(at.Now), at.Y, held...),
	}
	const steps = 8
	for i := 1; i <= steps; i++ {
		between := at.Now + (fraction-at.Now)*float64(i)/steps
		way = append(way, chromedp.MouseEvent(chromedp.MouseMoved, x(between), at.Y, held...))
	}
	way = append(way, chromedp.MouseEvent(chromedp.MouseReleased, x(fraction), at.Y, held...))
	do(tab, "drag "+selector, chromedp.Steps(way...))
}

// Type puts a text into a field in place of what it holds. Fields that are no text (dates, ranges, selections) are set to it as a value.
func (tab *Tab) Type(selector, text string) {
	tab.t.Helper()
	tab.reach(selector)
	var typed bool
	tab.Eval(fmt.Sprintf(`((field, text) => {
  field.focus();
  if (field.tagName === "SELECT" || /^(date|datetime-local|time|month|week|range|color)$/.test(field.type)) {
    Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), "value").set.call(field, text);
    field.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
    field.dispatchEvent(new Event("change", { bubbles: true }));
    return false;
  }
  field.select();
  return true;
})(deep(%q), %q)`, selector, text), &typed)
	switch {
	case !typed:
	case text == "":
		tab.Key("\b")
	default:
		tell(tab, input.InsertText, input.InsertTextParams{Text: text})
	}
}

// Key presses keys one after the other, where the focus is. Those that are no characters are in package chromedp/kb: "\t" is Tab,
// "\r" Enter, "\b" Backspace, and "\u0303" the right arrow.
func (tab *Tab) Key(keys string) {
	tab.t.Helper()
	do(tab, "press keys", chromedp.KeyEvent(keys))
}

// Focused tells what has the focus: the innermost element's id, or else its name.
func (tab *Tab) Focused() (name string) {
	tab.t.Helper()
	tab.Eval(`(() => {
  let element = document.activeElement;
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  return element?.id || element?.getAttribute("name") || element?.tagName.toLowerCase() || "";
})()`, &name)
	return name
}
