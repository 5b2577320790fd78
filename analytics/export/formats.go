package export

import (
	"fmt"
	"io"
	"strings"

	"loyalty/domain"
)

// Format is how the files are written.
type Format string

// The formats. Each is also the ending of its files' names.
const (
	Parquet   Format = "parquet"
	CSV       Format = "csv"
	JSONLines Format = "jsonl"
)

// ParseFormat reads the name of a format. The error names --format.
func ParseFormat(text string) (Format, error) {
	switch f := Format(text); f {
	case Parquet, CSV, JSONLines:
		return f, nil
	}
	return "", domain.Invalid("--format", "format_unknown", fmt.Sprintf("the formats are %s, %s and %s", Parquet, CSV, JSONLines))
}

// ParseTypes reads names of event types, in any order; none means all. The error is domain.ErrInvalid, and names --types and the types
// that exist.
func ParseTypes(names []string) ([]string, error) {
	known := Types()
	chosen := map[string]bool{}
	for _, name := range names {
		chosen[name] = true
	}
	var types []string
	for _, name := range known {
		if chosen[name] || len(names) == 0 {
			types = append(types, name)
		}
		delete(chosen, name)
	}
	if len(chosen) > 0 {
		for _, name := range names {
			if chosen[name] {
				return nil, domain.Invalid("--types", "type_unknown", fmt.Sprintf("no event is called %q; they are %s", name, strings.Join(known, ", ")))
			}
		}
	}
	return types, nil
}

// encoder writes rows to one file. Its output must depend on the rows only. They come batchRows at a time, and fewer only the last
// time.
type encoder interface {
	write(rows []row) error
	// close writes buffered rows and the end of the file. It does not close the underlying writer.
	close() error
}

func newEncoder(format Format, out io.Writer) (encoder, error) {
	switch format {
	case CSV:
		return newCSVEncoder(out)
	case JSONLines:
		return &jsonEncoder{out: out}, nil
	}
	return newParquetEncoder(out), nil
}
