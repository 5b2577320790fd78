package export

import (
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// timeLayout is RFC 3339 with six decimals always, so that the texts sort by time.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// csvEncoder writes CSV (RFC 4180): a header, lines that end in CR LF, quotes where a cell needs them.
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

// appendCell appends a text so that no spreadsheet takes it for a formula (OWASP, CSV injection): it puts an apostrophe before a text
// that begins like a formula, and before one that begins with an apostrophe. Removing one leading apostrophe restores every text.
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

// jsonEncoder writes one JSON object per line.
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

// appendJSON appends a JSON string.
func appendJSON(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, err := json.Marshal(text)
			if err != nil {
				panic(err) // every string can be encoded
			}
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}
