package replay

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"loyalty/analytics/export"
	"loyalty/domain"
)

// WriteFile writes a file atomically: to a temporary file in the same folder, which is synced to disk and renamed. After an error the
// temporary file is removed.
func WriteFile(path string, write func(io.Writer) error) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name()) // the error that is returned matters more
		}
	}()
	out := bufio.NewWriterSize(file, 1<<18)
	err = write(out)
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		err = errors.Join(file.Chmod(0o644), file.Sync())
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return export.Publish(file.Name(), path)
}

// standing is a row in Parquet. A missing rank is null.
type standing struct {
	Rank      *int64 `parquet:"rank,optional"`
	ProxyName string `parquet:"proxy_name"`
	Points    int64  `parquet:"points"`
}

type standings struct {
	standing
	OtherRank   *int64 `parquet:"other_rank,optional"`
	OtherPoints int64  `parquet:"other_points"`
}

// WriteParquet writes all rows of a Board, with the columns rank, proxy_name and points. If both, it adds other_rank and other_points. A
// missing rank is null.
func WriteParquet(out io.Writer, board []Row, both bool) error {
	if both {
		return writeRows(out, board, func(r *Row) standings { return standings{r.standing(), rankOf(&r.OtherRank), r.OtherPoints} })
	}
	return writeRows(out, board, (*Row).standing)
}

func (r *Row) standing() standing { return standing{rankOf(&r.Rank), r.Name(), r.Points} }

func rankOf(rank *int64) *int64 {
	if *rank == 0 {
		return nil
	}
	return rank
}

func writeRows[S, R any](out io.Writer, all []S, row func(*S) R) error {
	w := parquet.NewGenericWriter[R](out, parquet.CreatedBy("loyalty replay", "1", ""), parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}))
	rows := make([]R, 0, 1024)
	for i := range all {
		rows = append(rows, row(&all[i]))
		if len(rows) == cap(rows) || i == len(all)-1 {
			if _, err := w.Write(rows); err != nil {
				return errors.Join(err, w.Close())
			}
			rows = rows[:0]
		}
	}
	return w.Close()
}

// WriteCSV writes the columns of WriteParquet as CSV, with a header. A missing rank is empty.
func WriteCSV(out io.Writer, board []Row, both bool) error {
	w := csv.NewWriter(out)
	cells := []string{"rank", "proxy_name", "points", "other_rank", "other_points"}
	if !both {
		cells = cells[:3]
	}
	w.Write(cells) // an error stays until Error
	rank := func(n int64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	for i := range board {
		row := &board[i]
		cells = append(cells[:0], rank(row.Rank), row.Name(), strconv.FormatInt(row.Points, 10))
		if both {
			cells = append(cells, rank(row.OtherRank), strconv.FormatInt(row.OtherPoints, 10))
		}
		w.Write(cells)
	}
	w.Flush()
	return w.Error()
}

// Format is the output format of a result.
type Format string

// The formats. A table and JSON have the whole report. CSV and Parquet have the whole leaderboard, or the breakdown if there is one.
const (
	Table   Format = "table"
	JSON    Format = "json"
	CSV     Format = "csv"
	Parquet Format = "parquet"
)

// ParseFormat parses a Format. The error is domain.ErrInvalid and names field.
func ParseFormat(field, text string) (Format, error) {
	switch f := Format(text); f {
	case Table, JSON, CSV, Parquet:
		return f, nil
	}
	return "", domain.Invalid(field, "format_unknown", "say table, json, csv or parquet")
}
