package embedded

import (
	"encoding/json"
	"math"
	"strings"
	"time"
)

const (
	metaStreamPrefix = "$$"
	typeMetadata     = "$metadata"
	typeDeleted      = "$streamDeleted"
	typeLink         = "$>"

	keyMaxCount       = "$maxCount"
	keyMaxAge         = "$maxAge"
	keyTruncateBefore = "$tb"
	keyCacheControl   = "$cacheControl"
)

// softDeleted is the $tb of a soft-deleted stream: it hides the whole stream until the next append.
const softDeleted int64 = math.MaxInt64

// metaStreamOf is the stream that holds the metadata of stream.
func metaStreamOf(stream string) string { return metaStreamPrefix + stream }

// describedBy is the stream whose metadata a stream holds; false if it is not a metadata stream.
func describedBy(stream string) (string, bool) {
	described, ok := strings.CutPrefix(stream, metaStreamPrefix)
	return described, ok && described != ""
}

// streamMetadata is the part of a stream's metadata that limits which events can be read. Zero values are no limit.
type streamMetadata struct {
	maxCount       int64
	maxAge         time.Duration
	truncateBefore int64
}

// parseMetadata parses the JSON of a $metadata event. As in EventStoreDB, metadata that is not an object, or in which a known number is not a
// 64-bit integer, counts as empty; a negative value, or 0 for a count or an age, counts as absent.
func parseMetadata(data []byte) streamMetadata {
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		return streamMetadata{}
	}
	var known [4]int64
	for i, key := range []string{keyMaxCount, keyMaxAge, keyTruncateBefore, keyCacheControl} {
		if raw, ok := fields[key]; ok {
			if string(raw) == "null" || json.Unmarshal(raw, &known[i]) != nil {
				return streamMetadata{}
			}
		}
	}
	const mostSeconds = int64(math.MaxInt64 / time.Second)
	return streamMetadata{
		maxCount:       max(known[0], 0),
		maxAge:         time.Duration(min(max(known[1], 0), mostSeconds)) * time.Second,
		truncateBefore: max(known[2], 0),
	}
}

// withTruncateBefore is the metadata with another $tb, otherwise unchanged; false if it is not a JSON object.
func withTruncateBefore(data []byte, revision int64) ([]byte, bool) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil || fields == nil {
		return nil, false
	}
	number, err := json.Marshal(revision)
	if err != nil {
		return nil, false
	}
	fields[keyTruncateBefore] = number
	changed, err := json.Marshal(fields)
	return changed, err == nil
}

// extent is the part of a stream that can be read.
type extent struct {
	head
	lowest  int64 // revisions below it can't be read
	oldest  int64 // events created before this (ticks) can't be read
	deleted bool  // soft-deleted: reads as if it did not exist
}

// extent returns the part of a stream that can be read as of position upTo and the given time.
func (s *store) extent(stream string, upTo uint64, now time.Time) (extent, error) {
	h, err := s.head(stream, upTo)
	if err != nil || h.last == tombstoned {
		return extent{head: h}, err
	}
	described, isMeta := describedBy(stream)
	if isMeta {
		// Of a metadata stream only the newest event can be read, and none if a stream that it is about is tombstoned.
		for ok := true; ok; described, ok = describedBy(described) {
			of, err := s.head(described, upTo)
			if err != nil {
				return extent{head: h}, err
			}
			if of.last == tombstoned {
				h.last = tombstoned
				return extent{head: h}, nil
			}
		}
		return extent{head: h, lowest: max(h.last, 0)}, nil
	}
	data, err := s.metadata(stream, upTo)
	if err != nil || data == nil {
		return extent{head: h}, err
	}
	meta := parseMetadata(data)
	x := extent{head: h, lowest: meta.truncateBefore, deleted: meta.truncateBefore == softDeleted}
	if meta.maxCount > 0 && h.last >= 0 {
		x.lowest = max(x.lowest, h.last-meta.maxCount+1)
	}
	if meta.maxAge > 0 {
		x.oldest = ticks(now.Add(-meta.maxAge))
	}
	return x, nil
}

// metadata reads the newest metadata of a stream, nil if there is none.
func (s *store) metadata(stream string, upTo uint64) ([]byte, error) {
	if !s.described.Load() {
		return nil, nil
	}
	return s.newest(metaStreamOf(stream), upTo)
}

// newest reads the data of a stream's newest event, nil if there is none.
func (s *store) newest(stream string, upTo uint64) ([]byte, error) {
	h, err := s.head(stream, upTo)
	if err != nil || h == noHead {
		return nil, err
	}
	_, r, err := s.read(h.position)
	if err != nil {
		return nil, err
	}
	return append([]byte{}, r.data...), nil
}
