package export

import (
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

const (
	// rowGroupRows is how many rows a row group has at most. A row group is what one core of a reader works on, and what is kept in
	// memory here before it is written, about 40 MB.
	rowGroupRows = 128 << 10
	// pageBytes is the size of a page of a column, in bytes before compression.
	pageBytes = 256 << 10
)

// schema has the columns in Parquet, in the order of Columns. Columns of repeated values have a dictionary. Columns of slowly growing
// values are delta-encoded.
type schema struct {
	Commit        int64  `parquet:"commit,delta"`
	Prepare       int64  `parquet:"prepare,delta"`
	Type          string `parquet:"type,dict"`
	Stream        string `parquet:"stream"`
	Revision      int64  `parquet:"revision,dict"`
	EventID       string `parquet:"event_id"`
	StoredAt      int64  `parquet:"stored_at,delta,timestamp(microsecond)"`
	OccurredAt    int64  `parquet:"occurred_at,delta,timestamp(microsecond)"`
	CustomerID    string `parquet:"customer_id"`
	Channel       string `parquet:"channel,optional,dict"`
	Actor         string `parquet:"actor,optional,dict"`
	OrderID       string `parquet:"order_id,optional"`
	ReturnID      string `parquet:"return_id,optional"`
	LoyaltyID     string `parquet:"loyalty_id,optional"`
	Currency      string `parquet:"currency,optional,dict"`
	Amount        int64  `parquet:"amount,optional"`
	NetBefore     int64  `parquet:"net_before,optional"`
	NetAfter      int64  `parquet:"net_after,optional"`
	Points        int64  `parquet:"points,optional"`
	Policy        string `parquet:"policy,optional,dict"`
	SpendPerPoint int64  `parquet:"spend_per_point,optional,dict"`
	Items         int64  `parquet:"items,optional,dict"`
	Method        string `parquet:"method,optional,dict"`
	Reason        string `parquet:"reason,optional,dict"`
	Correlation   string `parquet:"correlation_id,optional"`
	Causation     string `parquet:"causation_id,optional"`
	Requested     int64  `parquet:"requested,optional"`
}

// parquetEncoder writes values column by column. The library accepts structs, too, but version 0.32 then writes some empty texts of an
// optional column as texts, not as null.
type parquetEncoder struct {
	writer  *parquet.GenericWriter[schema]
	columns []*parquet.ColumnWriter
	present []int             // for each column, the definition level of a value that is present
	absent  []parquet.Value   // for each column, the value that means absent
	values  [][]parquet.Value // for each column, a batch
	texts   []byte            // the memory of the texts in values
	grouped int               // rows in the row group
}

// newParquetEncoder writes no version of this program or its libraries into the file, so that another version which writes the same
// rows also has the same checksum.
func newParquetEncoder(out io.Writer) *parquetEncoder {
	e := &parquetEncoder{writer: parquet.NewGenericWriter[schema](out,
		parquet.CreatedBy("loyalty export", "1", ""),
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}),
		parquet.PageBufferSize(pageBytes),
	)}
	e.columns = e.writer.ColumnWriters()
	for _, field := range e.writer.Schema().Fields() {
		level := 0
		if field.Optional() {
			level = 1
		}
		e.absent = append(e.absent, parquet.Value{}.Level(0, 0, len(e.absent)))
		e.present = append(e.present, level)
	}
	e.values = make([][]parquet.Value, len(e.columns))
	for i := range e.values {
		e.values[i] = make([]parquet.Value, batchRows)
	}
	return e
}

func (e *parquetEncoder) write(rows []row) error {
	var at, column int
	e.texts = e.texts[:0]
	put := func(value parquet.Value) {
		if e.present[column] > 0 {
			value = value.Level(0, 1, column)
		}
		e.values[column][at] = value
		column++
	}
	skip := func() {
		e.values[column][at] = e.absent[column]
		column++
	}
	text := func(_, value string) {
		if value == "" && e.present[column] > 0 {
			skip()
			return
		}
		begin := len(e.texts)
		e.texts = append(e.texts, value...)
		put(parquet.ByteArrayValue(e.texts[begin:]))
	}
	integer := func(_ string, n number) {
		if n.known {
			put(parquet.Int64Value(n.value))
		} else {
			skip()
		}
	}
	timestamp := func(_ string, micros int64) { put(parquet.Int64Value(micros)) }
	for at = range rows {
		column = 0
		rows[at].cells(text, integer, timestamp)
	}
	for i, column := range e.columns {
		if _, err := column.WriteRowValues(e.values[i][:len(rows)]); err != nil {
			return err
		}
	}
	if e.grouped += len(rows); e.grouped < rowGroupRows {
		return nil
	}
	e.grouped = 0
	return e.writer.Flush()
}

func (e *parquetEncoder) close() error { return e.writer.Close() }
