package embedded

import (
	"fmt"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
)

// Read serves reads and subscriptions of a stream or of $all.
func (s *service) Read(req *streams.ReadReq, stream streams.Streams_ReadServer) error {
	o := req.GetOptions()
	if o.GetUuidOption() == nil {
		return errInvalid("read: uuid_option is missing")
	}
	target := string(o.GetStream().GetStreamIdentifier().GetStreamName())
	if o.GetAll() != nil {
		target = allStream
	}
	if err := s.permit(stream.Context(), rightRead, target); err != nil {
		return err
	}
	f, err := newFilter(o)
	if err != nil {
		return err
	}
	r := render{store: s.store, profile: s.profile, imitation: s.imitation, upTo: s.end(stream), now: s.now, resolveLinks: o.GetResolveLinks(),
		stringIDs: o.GetUuidOption().GetString_() != nil}
	backwards := o.GetReadDirection() == streams.ReadReq_Options_Backwards
	_, counted := o.GetCountOption().(*streams.ReadReq_Options_Count)
	subscription := o.GetSubscription() != nil
	switch {
	case !counted && !subscription:
		return errInvalid("read: neither a count nor a subscription is asked for")
	case subscription && backwards:
		return errInvalid("read: a subscription can't go backwards")
	case o.GetStream() != nil && f != nil:
		return errInvalid("read: only $all can be filtered")
	case o.GetAll() != nil && subscription:
		return s.subscribeToAll(stream, r, f, o.GetAll())
	case o.GetAll() != nil:
		return s.readAll(stream, r, f, o.GetAll(), backwards, o.GetCount())
	case o.GetStream() != nil && subscription:
		return s.subscribeToStream(stream, r, o.GetStream())
	case o.GetStream() != nil:
		return s.readStream(stream, r, o, backwards)
	}
	return errInvalid("read: neither a stream nor $all is given")
}

// end is the last position that a call sees.
func (s *service) end(stream grpc.ServerStream) uint64 {
	return s.imitation.end(stream.Context(), s.store.end())
}

// allFrom is the position after which a subscription starts.
func (s *service) allFrom(o *streams.ReadReq_Options_AllOptions, end uint64) (uint64, error) {
	from := o.GetPosition().GetCommitPosition()
	switch {
	case from == math.MaxUint64, o.GetEnd() != nil:
		return end, nil
	case s.imitation.refuses(from):
		return 0, s.profile.noPosition.Err()
	case from > end && s.profile.deliversBeyond:
		return end, nil
	}
	return from, nil
}

// resumed is the position after which a subscription reads.
func (s *service) resumed(from, end uint64) uint64 {
	if from > 0 && s.profile.skipsScavenged {
		return s.imitation.firstLeft(from, end)
	}
	return from
}

// readAll reads the log as it is now: forwards from a position (inclusive), or backwards from a position (exclusive). A position is two
// numbers, which are the same but for events of transactions, of which no server has had any since version 20. Backwards from one whose second
// number is smaller, the event before it is left out.
func (s *service) readAll(stream grpc.ServerStream, r render, f *filter, o *streams.ReadReq_Options_AllOptions, backwards bool, count uint64) error {
	scan := allScan{store: s.store, render: r, filter: f, backwards: backwards, end: r.upTo, left: count}
	position, end := o.GetPosition(), r.upTo+1
	commit, prepare := position.GetCommitPosition(), position.GetPreparePosition()
	switch {
	case o.GetEnd() != nil, commit == math.MaxUint64:
		scan.next = end
	case position == nil:
	case s.imitation.refuses(commit), backwards && commit > end:
		return s.profile.noPosition.Err()
	case backwards && prepare < commit:
		scan.next = commit - 1
	default:
		scan.next = min(commit, end)
	}
	if !backwards {
		scan.next = max(scan.next, 1)
	}
	return s.sendAll(stream, &scan)
}

// scanner reads events into pages until it is done.
type scanner interface {
	done() bool
	fill(p *page) error
}

// sendAll sends what a scan reads, page by page, until the scan is done, the client disconnects, or the server shuts down.
func (s *service) sendAll(stream grpc.ServerStream, scan scanner) error {
	var p page
	for !scan.done() {
		if err := s.interrupted(stream); err != nil {
			return err
		}
		if err := scan.fill(&p); err != nil {
			return sendThenFail(stream, &p, err)
		}
		if err := p.send(stream); err != nil {
			return err
		}
	}
	return nil
}

// sendThenFail sends what was read before an error, and returns the error.
func sendThenFail(stream grpc.ServerStream, p *page, err error) error {
	if sendErr := p.send(stream); sendErr != nil {
		return sendErr
	}
	return err
}

func (s *service) interrupted(stream grpc.ServerStream) error {
	select {
	case <-s.closing:
		return errClosing
	default:
		return stream.Context().Err()
	}
}

// readStream reads a stream as it is now, from a revision on (inclusive in both directions).
func (s *service) readStream(stream grpc.ServerStream, r render, o *streams.ReadReq_Options, backwards bool) error {
	name, err := streamName(o.GetStream().GetStreamIdentifier())
	if err != nil {
		return err
	}
	switch {
	case o.GetCount() == 0:
		return errUnanswerable("read: of a stream, at least one event must be asked for")
	case !backwards && endOfStream(o.GetStream()):
		return errUnanswerable("read: a stream can't be read forwards from its end")
	}
	x, err := s.store.extent(name, r.upTo, s.now())
	if err != nil {
		return err
	}
	switch {
	case x.last == tombstoned:
		return errStreamDeleted(name)
	case x.last == noRevision || x.deleted:
		return stream.SendMsg(&streams.ReadResp{Content: &streams.ReadResp_StreamNotFound_{
			StreamNotFound: &streams.ReadResp_StreamNotFound{StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(name)}}}})
	}
	from, err := streamFrom(o.GetStream(), x.last+1)
	if err != nil {
		return err
	}
	scan := &streamScan{store: s.store, render: r, stream: name, backwards: backwards, head: x.head,
		lowest: x.lowest, oldest: x.oldest, left: o.GetCount(), next: max(from, x.lowest)}
	if backwards {
		scan.next = min(from, x.last)
	}
	if o.GetControlOption().GetCompatibility() == 0 {
		return s.sendAll(stream, scan)
	}
	return s.sendWithEnds(stream, scan, from, x)
}

// firstBatch is the number of events that EventStoreDB reads first. If it finds none, it sends where the first event is.
const firstBatch = 32

// sendWithEnds sends a stream's events, and the revisions of its last event and, if the client began to read before it, of its first. Clients
// ask for that with compatibility 1; the official Go client doesn't, and panics if it gets them.
func (s *service) sendWithEnds(stream grpc.ServerStream, scan *streamScan, from int64, x extent) error {
	sendFirst := func(revision int64) error {
		return stream.SendMsg(&streams.ReadResp{Content: &streams.ReadResp_FirstStreamPosition{FirstStreamPosition: uint64(revision)}})
	}
	if !scan.backwards && from < x.lowest && x.lowest-from >= int64(min(firstBatch, scan.left)) {
		if err := sendFirst(x.lowest); err != nil {
			return err
		}
	}
	if err := s.sendAll(stream, scan); err != nil {
		return err
	}
	if !scan.backwards && !scan.found && scan.left > 0 && from != x.last+1 {
		if err := sendFirst(x.last + 1); err != nil {
			return err
		}
	}
	return stream.SendMsg(&streams.ReadResp{Content: &streams.ReadResp_LastStreamPosition{LastStreamPosition: uint64(x.last)}})
}

// endOfStream reports whether a read or a subscription starts at the end of its stream.
func endOfStream(o *streams.ReadReq_Options_StreamOptions) bool {
	_, given := o.GetRevisionOption().(*streams.ReadReq_Options_StreamOptions_Revision)
	return o.GetEnd() != nil || given && o.GetRevision() == math.MaxUint64
}

// streamFrom is the revision at which a read starts; it is end for the end of the stream.
func streamFrom(o *streams.ReadReq_Options_StreamOptions, end int64) (int64, error) {
	switch revision := o.GetRevision(); {
	case endOfStream(o):
		return end, nil
	case revision > math.MaxInt64:
		return 0, errInvalid(fmt.Sprintf("revision %d is too large", revision))
	default:
		return int64(revision), nil
	}
}
