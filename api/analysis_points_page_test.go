package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Given what was earned within a hundred days
// When an analyst looks at it as a chart, as a table and as a file
// Then all say what the API says, days without entries included.
func TestTheChartSaysWhatTheAPISays(t *testing.T) {
	doc := loadDocument(t)
	s := startStack(t, doc)
	s.hundredDays(t, doc)
	told := get[earnings](t, s, analyst, "/earnings?by=day")
	var sum struct{ awarded, net int64 }
	nets, byDay := map[string]int64{}, map[string]bool{}
	var file []string
	for _, e := range told.Earnings {
		day := e.At.Format(time.DateOnly)
		byDay[day], nets[day] = true, nets[day]+e.Awarded+e.Reversed+e.Adjusted
		sum.awarded, sum.net = sum.awarded+e.Awarded, sum.net+e.Awarded+e.Reversed+e.Adjusted
		file = append(file, fmt.Sprintf("%s.000Z,%s,%d,%d,%d,%d,%d,%d", strings.TrimSuffix(e.At.Format(time.RFC3339), "Z"), name(e),
			e.Awards, e.Awarded, e.Reversals, e.Reversed, e.Adjustments, e.Adjusted))
	}
	days := int(told.Until.Sub(*told.From).Hours() / 24)

	d := analyse(t, s.url, "#view=points&range=all")
	d.shows("#points-totals tfoot", grouped(sum.awarded))
	d.shows("#points-totals tfoot td:last-child", signedText(sum.net))
	// through goes through the chart with the keys, and gives what each bar says.
	through := func() (texts []string) {
		t.Helper()
		d.tabTo(".through")
		d.Eval(`(() => {
			const slider = document.querySelector(".through"), texts = [];
			const press = (key) => slider.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
			press("Home");
			for (let i = 0; i <= Number(slider.getAttribute("aria-valuemax")); i++, press("ArrowRight")) {
				if (document.querySelector(".tip").hidden) throw new Error("nothing is shown of bar " + i);
				texts.push(slider.getAttribute("aria-valuetext"));
			}
			return texts;
		})()`, &texts)
		return texts
	}
	d.Hover(".through")
	d.shows(".tip", "In all")
	d.Key("\x1b")
	d.hides(".tip")
	texts := through()
	if len(texts) != days {
		t.Fatalf("the chart has %d bars for %d days", len(texts), days)
	}
	for i, text := range texts {
		day := told.From.AddDate(0, 0, i)
		want := day.Format("Mon, 2 Jan 2006") + ": nothing"
		if day.Month() == time.September {
			want = strings.Replace(want, "Sep", "Sept", 1)
		}
		if byDay[day.Format(time.DateOnly)] {
			want = "in all " + signedText(nets[day.Format(time.DateOnly)]) + " points"
		}
		// Entries of no points are as good as none.
		if !strings.Contains(text, want) && !(strings.HasSuffix(text, "nothing") && nets[day.Format(time.DateOnly)] == 0) {
			t.Errorf("the chart says %q of %s, want %q", text, day, want)
		}
	}
	d.Size(360, 800)
	d.Wait(fmt.Sprintf(`document.querySelector(".through").getAttribute("aria-valuemax") < %d`, days/5))
	if weeks := through(); !strings.HasPrefix(weeks[0], "Week of ") {
		t.Errorf("where there is little room a bar is %q", weeks[0])
	}
	d.Fits()
	d.Size(1280, 800)

	d.Eval(`document.querySelector("[name=as][value=table]").click()`, nil)
	d.Wait(fmt.Sprintf(`document.querySelectorAll("#points-table tbody tr").length === %d`, days))
	var cells []string
	d.Eval(`[...document.querySelectorAll("#points-table tbody tr")].map((row) => row.querySelector("time").dateTime.slice(0, 10) + " " + row.lastElementChild.textContent)`, &cells)
	for i, cell := range cells {
		day := told.Until.AddDate(0, 0, -1-i).Format(time.DateOnly)
		if want := day + " " + signedText(nets[day]); cell != want {
			t.Errorf("the table says %q, want %q", cell, want)
		}
	}

	var csv string
	d.Eval(`new Promise((resolve) => {
		const real = URL.createObjectURL;
		URL.createObjectURL = (blob) => { blob.text().then(resolve); return real.call(URL, blob); };
		document.getElementById("points-csv").click();
	})`, &csv)
	lines := strings.Split(strings.TrimSuffix(csv, "\r\n"), "\r\n")
	if len(lines) != 1+4*days {
		t.Errorf("the file has %d lines for %d days", len(lines), days)
	}
	for _, want := range file {
		if !strings.Contains(csv, "\r\n"+want+"\r\n") {
			t.Errorf("the file has no line %s", want)
		}
	}
}

func grouped(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// signedText is a number with its sign, as pages write it.
func signedText(n int64) string {
	switch {
	case n > 0:
		return "+" + grouped(n)
	case n < 0:
		return "-" + grouped(-n)
	}
	return "0"
}
