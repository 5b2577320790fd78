package embedded

import (
	"bytes"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/dlclark/regexp2"
)

// defaultWindow is EventStoreDB's default of the search window: the number of events that a filtered read considers at a time.
const defaultWindow = 32

// Bounds of regular expressions in .NET's dialect, which can take exponential time.
const (
	matchTimeout = time.Second // for one event
	patternPause = time.Second // for a page, before it is looked whether the client is still there
)

const errSlowPattern = errInvalid("filter: the regular expression takes more than a second for one event")

// filter selects events by a prefix or a regular expression on their type or on their stream's name. With neither it selects nothing. A nil
// filter selects everything, including system events, as $all does. It is not safe for concurrent use.
type filter struct {
	byType   bool
	prefixes [][]byte
	pattern  *regexp2.Regexp // as EventStoreDB's, it is in .NET's dialect
	text     []rune
	// window is the number of events that a server considers at a time, interval that between two checkpoints.
	window, interval uint64
}

// newFilter reads a request's filter; nil if it has none. The error is an errInvalid.
func newFilter(options *streams.ReadReq_Options) (*filter, error) {
	o := options.GetFilter()
	if o == nil {
		return nil, nil
	}
	f := &filter{}
	expression := o.GetStreamIdentifier()
	if o.GetEventType() != nil {
		expression, f.byType = o.GetEventType(), true
	}
	if expression == nil {
		return nil, errInvalid("filter: neither an event type nor a stream name is given")
	}
	f.window = defaultWindow
	if o.GetCount() == nil {
		f.window = uint64(o.GetMax())
	}
	f.interval = f.window * uint64(o.GetCheckpointIntervalMultiplier())
	if options.GetSubscription() != nil && f.interval == 0 {
		return nil, errInvalid("filter: the search window and the checkpoint interval must be at least 1")
	}
	switch {
	case expression.GetRegex() != "" && len(expression.GetPrefix()) > 0:
		return nil, errInvalid("filter: give a regular expression or prefixes, not both")
	case expression.GetRegex() != "":
		pattern, err := regexp2.Compile(expression.GetRegex(), regexp2.None)
		if err != nil {
			return nil, errInvalid("filter: " + err.Error())
		}
		pattern.MatchTimeout = matchTimeout
		f.pattern = pattern
	}
	for _, prefix := range expression.GetPrefix() {
		f.prefixes = append(f.prefixes, []byte(prefix))
	}
	return f, nil
}

// matches reports whether an event is selected. The error is errSlowPattern.
func (f *filter) matches(r record) (bool, error) {
	if f == nil {
		return true, nil
	}
	subject := r.stream
	if f.byType {
		subject = r.eventType
	}
	if f.pattern != nil {
		f.text = f.text[:0]
		for _, char := range string(subject) {
			f.text = append(f.text, char)
		}
		matches, err := f.pattern.MatchRunes(f.text)
		if err != nil {
			return false, errSlowPattern
		}
		return matches, nil
	}
	for _, prefix := range f.prefixes {
		if bytes.HasPrefix(subject, prefix) {
			return true, nil
		}
	}
	return false, nil
}

// pauses reports whether a page that was begun at a time has taken so long that it should be sent as it is.
func (f *filter) pauses(begun time.Time) bool {
	return f != nil && f.pattern != nil && time.Since(begun) > patternPause
}
