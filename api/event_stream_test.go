package api_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// reading is what comes of a stream of server-sent events.
type reading struct {
	Events []readEvent
	LastID string
	// Retry is -1 if the stream does not say.
	Retry int
}

type readEvent struct{ Type, Data, LastEventID string }

var lineEnds = regexp.MustCompile(`\r\n|\r|\n`)

// readPlainly reads a whole stream by the letter of the HTML Living Standard, section 9.2.6.
func readPlainly(stream string) reading {
	lines := lineEnds.Split(strings.TrimPrefix(stream, "\ufeff"), -1)
	r := reading{Events: []readEvent{}, Retry: -1}
	var data []string
	kind, id := "", ""
	// What comes after the last end of a line is no line.
	for _, line := range lines[:len(lines)-1] {
		if line == "" {
			r.LastID = id
			if len(data) > 0 {
				if kind == "" {
					kind = "message"
				}
				r.Events = append(r.Events, readEvent{kind, strings.Join(data, "\n"), id})
			}
			data, kind = nil, ""
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "data":
			data = append(data, value)
		case "event":
			kind = value
		case "id":
			if !strings.Contains(value, "\x00") {
				id = value
			}
		case "retry":
			if value != "" && strings.Trim(value, "0123456789") == "" {
				r.Retry, _ = strconv.Atoi(value)
			}
		}
	}
	return r
}

// Given streams put together from all that the format knows, and from what it does not
// When the page's reader is given them in pieces cut anywhere, even within a character or a line's end
// Then it reads what the standard says.
func TestThePageReadsEventsAsTheStandardSays(t *testing.T) {
	s := startBoard(t, true, nil)
	tab := visit(t, s.site, ann, "/")
	tab.Eval(`import("/assets/loyalty-stream.js").then((module) => { window.EventStream = module.EventStream; })`, nil)
	do(tab, `window.readAll = (streams) => streams.map((pieces) => {
		const events = [];
		const stream = new window.EventStream(({ type, data, lastEventId }) => events.push({ Type: type, Data: data, LastEventID: lastEventId }));
		for (const piece of pieces) stream.push(Uint8Array.from(atob(piece), (c) => c.charCodeAt(0)));
		return { Events: events, LastID: stream.lastEventId, Retry: stream.retry ?? -1 };
	});`)
	token := rapid.SampledFrom([]string{
		"data", "event", "id", "retry", "data", "event", "id", ":", ":", ": ", " ", "\n", "\n", "\n\n", "\r", "\r\n", "\r\r", "\r\n\r\n",
		"x", "dashboard", "0", "17", "1e3", "-5", "{\"a\": 1}", "£", "€", "🦦", "\ufeff", "\x00", "data: x\n", "data\n", "data:\r\n", "event: age\n", "id\n", "id: 9\r", "retry: 250\n", ": a comment\n", "datax: y\n", "DATA: z\n",
	})
	rapid.Check(t, func(rt *rapid.T) {
		// Many at once, because asking the browser takes longer than reading.
		var want []reading
		var pieces [][]string
		for range 50 {
			stream := strings.Join(rapid.SliceOfN(token, 0, 40).Draw(rt, "stream"), "")
			want = append(want, readPlainly(stream))
			cuts := rapid.SliceOfN(rapid.IntRange(0, len(stream)), 0, 12).Draw(rt, "cuts")
			if rapid.IntRange(0, 4).Draw(rt, "bytes") == 0 {
				cuts = make([]int, len(stream))
				for i := range cuts {
					cuts[i] = i
				}
			}
			slices.Sort(cuts)
			var cut []string
			from := 0
			for _, to := range append(cuts, len(stream)) {
				cut = append(cut, base64.StdEncoding.EncodeToString([]byte(stream[from:to])))
				from = to
			}
			pieces = append(pieces, cut)
		}
		asked, err := json.Marshal(pieces)
		if err != nil {
			rt.Fatal(err)
		}
		var got []reading
		tab.Eval(fmt.Sprintf("window.readAll(%s)", asked), &got)
		for i := range want {
			if fmt.Sprintf("%#v", got[i]) != fmt.Sprintf("%#v", want[i]) {
				rt.Fatalf("of %s\nread %#v\nwant %#v", pieces[i], got[i], want[i])
			}
		}
	})
}
