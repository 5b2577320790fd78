package orders

import (
	"bufio"
	"errors"
	"io"

	"loyalty/internal/strictjson"
)

// lines reads a body line by line, holding no more than one of them.
type lines struct{ text *bufio.Reader }

func newLines(body io.Reader) lines { return lines{bufio.NewReaderSize(body, strictjson.MaxBytes+1)} }

// next is the next line without its line feed, valid until next is called again. The last line may do without a line feed.
// Errors are strictjson.ErrTooLarge for a line of more than strictjson.MaxBytes bytes, which is skipped; io.EOF when there are no more; and any
// other that reading the body has, a line begun before it being lost.
func (l lines) next() ([]byte, error) {
	line, err := l.text.ReadSlice('\n')
	switch {
	case err == nil:
		return line[:len(line)-1], nil
	case err == io.EOF && len(line) > 0:
		return line, nil
	case !errors.Is(err, bufio.ErrBufferFull):
		return nil, err
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = l.text.ReadSlice('\n')
	}
	if err != nil && err != io.EOF {
		return nil, err
	}
	return nil, strictjson.ErrTooLarge
}
