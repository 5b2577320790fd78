package output

import (
	"io"
	"os"
)

// IsTerminal tells whether out is a terminal, on which text can be drawn over.
func IsTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
