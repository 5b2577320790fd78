package replay

import (
	"fmt"
	"slices"

	"github.com/parquet-go/parquet-go"
)

// column reads one column of a row group page by page, without copying the values of a page.
type column struct {
	name    string
	pages   parquet.Pages
	page    parquet.Page
	rows    int // in the page
	row     int // how many of them were read
	levels  []byte
	value   int // how many values were read; a null row has none
	indexes []int32
	data    []byte
	offsets []uint32
	ints    []int64

	dictionary parquet.Dictionary
	// meaning has what each text of the dictionary means, and numbers has the dictionary's numbers.
	meaning []uint8
	numbers []int64
	means   func(text []byte) uint8
}

// left reads the next page if needed, and returns how many of the page's rows were not read yet.
func (c *column) left() (int, error) {
	for c.row == c.rows {
		if c.page != nil {
			parquet.Release(c.page)
			c.page = nil
		}
		page, err := c.pages.ReadPage()
		if err != nil {
			return 0, fmt.Errorf("column %s: %w", c.name, err)
		}
		c.page, c.rows, c.row, c.value = page, int(page.NumRows()), 0, 0
		if c.levels = page.DefinitionLevels(); len(c.levels) == 0 {
			c.levels = nil
		}
		c.indexes, c.data, c.offsets, c.ints = nil, nil, nil, nil
		values := page.Data()
		switch dictionary := page.Dictionary(); {
		case dictionary != nil:
			c.indexes = values.Int32()
			if err := c.learn(dictionary); err != nil {
				return 0, err
			}
			if len(c.indexes) > 0 && (slices.Min(c.indexes) < 0 || int(slices.Max(c.indexes)) >= dictionary.Len()) {
				return 0, fmt.Errorf("column %s is damaged: a value is not in its dictionary", c.name)
			}
			if c.means == nil {
				c.ints = make([]int64, len(c.indexes))
				for i, index := range c.indexes {
					c.ints[i] = c.numbers[index]
				}
			}
		case page.Type().Kind() == parquet.ByteArray:
			c.data, c.offsets = values.ByteArray()
		case page.Type().Kind() == parquet.Int64:
			c.ints = values.Int64()
		default:
			return 0, fmt.Errorf("column %s has values of another kind", c.name)
		}
	}
	return c.rows - c.row, nil
}

// learn looks up what the values of a new dictionary mean.
func (c *column) learn(d parquet.Dictionary) error {
	if d == c.dictionary {
		return nil
	}
	c.dictionary, c.meaning, c.numbers = d, c.meaning[:0], c.numbers[:0]
	for i := range d.Len() {
		switch value := d.Index(int32(i)); {
		case c.means != nil && value.Kind() == parquet.ByteArray:
			c.meaning = append(c.meaning, c.means(value.ByteArray()))
		case c.means == nil && value.Kind() == parquet.Int64:
			c.numbers = append(c.numbers, value.Int64())
		default:
			return fmt.Errorf("column %s has a dictionary, which is not expected of it", c.name)
		}
	}
	return nil
}

// takeMeanings reads the meanings of texts, 0 for null.
func (c *column) takeMeanings(into []uint8) {
	switch {
	case c.indexes == nil:
		for i := range into {
			into[i] = 0
			if text := c.text(); text != nil {
				into[i] = c.means(text)
			}
		}
		return
	case c.levels == nil:
		for i, index := range c.indexes[c.value : c.value+len(into)] {
			into[i] = c.meaning[index]
		}
		c.value += len(into)
	default:
		value := c.value
		for i, level := range c.levels[c.row : c.row+len(into)] {
			into[i] = 0
			if level != 0 {
				into[i] = c.meaning[c.indexes[value]]
				value++
			}
		}
		c.value = value
	}
	c.row += len(into)
}

// takeInts reads numbers, 0 for null.
func (c *column) takeInts(into []int64) {
	if c.levels == nil {
		copy(into, c.ints[c.value:])
		c.value += len(into)
	} else {
		value, ints := c.value, c.ints
		for i, level := range c.levels[c.row : c.row+len(into)] {
			into[i] = 0
			if level != 0 {
				into[i] = ints[value]
				value++
			}
		}
		c.value = value
	}
	c.row += len(into)
}

// text reads one text, nil for null. It is valid until the next page is read.
func (c *column) text() []byte {
	row := c.row
	c.row++
	if c.levels != nil && c.levels[row] == 0 {
		return nil
	}
	value := c.value
	c.value++
	return c.data[c.offsets[value]:c.offsets[value+1]]
}

func (c *column) close() error {
	if c.page != nil {
		parquet.Release(c.page)
		c.page = nil
	}
	return c.pages.Close()
}
