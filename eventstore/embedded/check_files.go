package embedded

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/objstorage"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// checkFiles verifies every block of every table file in use, or of every table file if the database doesn't open. It also records where the
// files begin and end.
func (c *checker) checkFiles(ctx context.Context) error {
	paths, err := c.tableFiles()
	if err != nil {
		return err
	}
	var total, done uint64
	sizes := make([]os.FileInfo, len(paths))
	for i, path := range paths {
		if sizes[i], err = os.Stat(path); err != nil {
			return err
		}
		total += uint64(sizes[i].Size())
	}
	for i, path := range paths {
		c.progress(StepFiles, done, total)
		if err := c.checkTable(ctx, path, sizes[i]); err != nil {
			if ctx.Err() != nil {
				return err
			}
			c.found(Finding{What: errorText(err), File: filepath.Base(path)})
		}
		done += uint64(sizes[i].Size())
	}
	c.progress(StepFiles, done, total)
	return nil
}

func (c *checker) tableFiles() ([]string, error) {
	if c.db == nil {
		return filepath.Glob(filepath.Join(c.dir, "*.sst"))
	}
	levels, err := c.db.SSTables()
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, tables := range levels {
		for _, t := range tables {
			paths = append(paths, filepath.Join(c.dir, fmt.Sprintf("%06d.sst", uint64(t.BackingSSTNum))))
			c.bounds = append(c.bounds, bytes.Clone(t.Smallest.UserKey), after(bytes.Clone(t.Largest.UserKey)))
			for _, key := range [][]byte{t.Smallest.UserKey, t.Largest.UserKey} {
				if position, ok := logKeyPosition(key); ok {
					c.last = max(c.last, position)
				}
			}
		}
	}
	slices.SortFunc(c.bounds, bytes.Compare)
	slices.Sort(paths)
	return slices.Compact(paths), nil
}

// checkTable verifies the checksum of each block of a table file. If it can't find the blocks, the whole file counts as damaged.
func (c *checker) checkTable(ctx context.Context, path string, info os.FileInfo) error {
	file, err := vfs.Default.Open(path)
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(file)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	var options pebble.Options
	options.Levels[0].FilterPolicy = bloom.FilterPolicy(10)
	options.EnsureDefaults()
	reader, err := sstable.NewReader(ctx, readable, options.MakeReaderOptions())
	if err != nil {
		err = errors.Join(err, readable.Close())
	} else {
		defer reader.Close()
		var layout *sstable.Layout
		if layout, err = reader.Layout(); err == nil {
			return c.checkBlocks(ctx, path, readable, reader.BlockReader().ChecksumType(), layout)
		}
	}
	c.bad.add(path, block.Handle{Length: uint64(info.Size())})
	return err
}

// checkBlocks makes a finding of each block with a wrong checksum.
func (c *checker) checkBlocks(ctx context.Context, path string, file objstorage.Readable, kind block.ChecksumType, l *sstable.Layout) error {
	blocks := append(slices.Clone(l.Index), l.TopIndex, l.RangeDel, l.RangeKey, l.ValueIndex, l.Properties, l.MetaIndex, l.BlobReferenceIndex)
	blocks = append(blocks, l.ValueBlock...)
	for _, data := range l.Data {
		blocks = append(blocks, data.Handle)
	}
	for _, filter := range l.Filter {
		blocks = append(blocks, filter.Handle)
	}
	slices.SortFunc(blocks, func(a, b block.Handle) int { return cmp.Compare(a.Offset, b.Offset) })
	var buf []byte
	for _, h := range blocks {
		if h.Length == 0 {
			continue // there is no such block
		}
		buf = slices.Grow(buf[:0], int(h.Length)+block.TrailerLen)[:h.Length+block.TrailerLen]
		err := file.ReadAt(ctx, buf, int64(h.Offset))
		if err == nil {
			err = blockChecksum(kind, buf, h)
		}
		if err != nil {
			c.bad.add(path, h)
			c.found(Finding{What: fmt.Sprintf("the block at byte %d: %v", h.Offset, err), File: filepath.Base(path)})
		}
	}
	return ctx.Err()
}

// blockChecksum verifies a block and its trailer: the compression and the checksum. Pebble writes CRC-32C, masked as LevelDB
// does.
func blockChecksum(kind block.ChecksumType, b []byte, h block.Handle) error {
	if kind != block.ChecksumTypeCRC32c {
		return block.ValidateChecksum(kind, b, h)
	}
	sum := crc32.Checksum(b[:h.Length+1], castagnoli)
	if (sum>>15|sum<<17)+0xa282ead8 != binary.LittleEndian.Uint32(b[h.Length+1:]) {
		return errors.New("wrong checksum")
	}
	return nil
}
