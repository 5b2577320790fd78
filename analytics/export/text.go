package export

import (
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// timeLayout is RFC 3339 with six digits always, so that times as text sort as times do.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// csvEncoder writes RFC 4180: a heading, lines that end in CR LF, quotes where a cell needs them.
type csvEncoder struct {
	out    io.Writer
	buffer []byte
}

func newCSVEncoder(out io.Writer) (*csvEncoder, error) {
	_, err := io.WriteString(out, strings.Join(Columns(), ",")+"\r\n")
	return &csvEncoder{out: out}, err
}

func (e *csvEncoder) write(rows []row) error {
	b := e.buffer[:0]
	text := func(_, value string) { b = append(appendCell(b, value), ',') }
	integer := func(_ string, n number) {
		if n.known {
			b = strconv.AppendInt(b, n.value, 10)
		}
		b = append(b, ',')
	}
	at := func(_ string, micros int64) {
		b = append(time.UnixMicro(micros).UTC().AppendFormat(b, timeLayout), ',')
	}
	for i := range rows {
		rows[i].cells(text, integer, at)
		b = append(b[:len(b)-1], '\r', '\n')
	}
	e.buffer = b
	_, err := e.out.Write(b)
	return err
}

func (e *csvEncoder) close() error { return nil }

// appendCell writes a text so that a spreadsheet takes it for no formula (OWASP, CSV injection): an apostrophe goes before what
// begins like one, and before an apostrophe, so that taking one off whatever begins with it gives back every text as it was.
func appendCell(b []byte, text string) []byte {
	formula := text != "" && strings.IndexByte("=+-@\t\r\n'", text[0]) >= 0
	if !formula && !strings.ContainsAny(text, "\",\r\n") {
		return append(b, text...)
	}
	b = append(b, '"')
	if formula {
		b = append(b, '\'')
	}
	return append(append(b, strings.ReplaceAll(text, `"`, `""`)...), '"')
}

// jsonEncoder writes an object a line.
type jsonEncoder struct {
	out    io.Writer
	buffer []byte
}

func (e *jsonEncoder) write(rows []row) error {
	b := e.buffer[:0]
	key := func(name string) {
		b = append(append(append(b, '"'), name...), '"', ':')
	}
	text := func(name, value string) {
		if value != "" {
			key(name)
			b = append(appendJSON(b, value), ',')
		}
	}
	integer := func(name string, n number) {
		if n.known {
			key(name)
			b = append(strconv.AppendInt(b, n.value, 10), ',')
		}
	}
	at := func(name string, micros int64) {
		key(name)
		b = append(time.UnixMicro(micros).UTC().AppendFormat(append(b, '"'), timeLayout), '"', ',')
	}
	for i := range rows {
		b = append(b, '{')
		rows[i].cells(text, integer, at)
		b = append(b[:len(b)-1], '}', '\n')
	}
	e.buffer = b
	_, err := e.out.Write(b)
	return err
}

func (e *jsonEncoder) close() error { return nil }

// appendJSON writes a text as JSON does.
func appendJSON(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, err := json.Marshal(text)
			if err != nil {
				panic(err) // a text has always a form in JSON
			}
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}
