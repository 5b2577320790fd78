package embedded

import (
	"bytes"
	"regexp"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// defaultWindow is EventStoreDB's default of the search window: the number of events that a filtered read considers at a time.
const defaultWindow = 32

// filter selects events by a prefix or a regular expression on their type or on their stream's name. With neither it selects nothing. A nil
// filter selects everything, including system events, as $all does.
type filter struct {
	byType   bool
	prefixes [][]byte
	pattern  *regexp.Regexp
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
		pattern, err := regexp.Compile(expression.GetRegex())
		if err != nil {
			return nil, errInvalid("filter: " + err.Error())
		}
		f.pattern = pattern
	}
	for _, prefix := range expression.GetPrefix() {
		f.prefixes = append(f.prefixes, []byte(prefix))
	}
	return f, nil
}

func (f *filter) matches(r record) bool {
	if f == nil {
		return true
	}
	subject := r.stream
	if f.byType {
		subject = r.eventType
	}
	if f.pattern != nil {
		return f.pattern.Match(subject)
	}
	for _, prefix := range f.prefixes {
		if bytes.HasPrefix(subject, prefix) {
			return true
		}
	}
	return false
}
