package embedded

import (
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
)

// subscribeToAll sends all events after a position, stored and future ones. With a filter it also sends checkpoints.
func (s *service) subscribeToAll(stream grpc.ServerStream, r render, f *filter, o *streams.ReadReq_Options_AllOptions) error {
	from, err := s.allFrom(o, r.upTo)
	if err != nil {
		return err
	}
	feed := &allFeed{scan: &allScan{store: s.store, render: r, filter: f, next: s.resumed(from, r.upTo) + 1, last: from}}
	if f != nil {
		feed.scan.progress = f.begin(s.profile, from)
	}
	l := listener{service: s, stream: stream, feed: feed}
	return l.run()
}

// subscribeToStream sends all events of a stream after a revision, stored and future ones. The stream need not exist yet. When it is
// tombstoned, the subscription ends.
func (s *service) subscribeToStream(stream grpc.ServerStream, r render, o *streams.ReadReq_Options_StreamOptions) error {
	name, err := streamName(o.GetStreamIdentifier())
	if err != nil {
		return err
	}
	x, err := s.store.extent(name, r.upTo, s.now())
	if err != nil {
		return err
	}
	if x.last == tombstoned {
		return errStreamDeleted(name)
	}
	after, err := streamFrom(o, x.last)
	if err != nil {
		return err
	}
	if o.GetStart() != nil {
		after = noRevision
	}
	feed := &streamFeed{service: s, scan: &streamScan{store: s.store, render: r, stream: name, next: after + 1}}
	l := listener{service: s, stream: stream, feed: feed}
	return l.run()
}

// feed is what a subscription reads.
type feed interface {
	// fill adds the events up to the given end of the log to the page, as far as they fit, and reports whether there are more. live says that
	// the subscription has reached the end before.
	fill(p *page, end uint64, live bool) (more bool, err error)
	// caughtUp adds to the page that all events were sent. It reports whether that can be said.
	caughtUp(p *page) bool
	// fellBehind is called when a live subscription goes back to reading the log.
	fellBehind(p *page)
}

// allFeed reads $all.
type allFeed struct {
	scan *allScan
}

func (f *allFeed) fill(p *page, end uint64, _ bool) (more bool, err error) {
	f.scan.end, f.scan.left, f.scan.render.upTo = end, 1<<62, end
	err = f.scan.fill(p)
	return f.scan.next <= end, err
}

func (f *allFeed) caughtUp(p *page) bool {
	at := f.scan.last
	if g := f.scan.progress; g != nil {
		if checkpoint, ok := g.reachedEnd(); ok {
			f.scan.checkpoint(p, checkpoint)
		}
		at = g.at
	}
	var place []byte
	if at > 0 {
		place = caughtUpInAll(at)
	}
	p.caughtUp(f.scan.render.stamp(), place)
	return true
}

func (f *allFeed) fellBehind(p *page) {
	if g := f.scan.progress; g != nil {
		if checkpoint, ok := g.fellBehind(); ok {
			f.scan.checkpoint(p, checkpoint)
		}
	}
}

// streamFeed reads a stream.
type streamFeed struct {
	*service
	scan *streamScan
}

func (f *streamFeed) fill(p *page, end uint64, live bool) (more bool, err error) {
	scan := f.scan
	x, err := f.store.extent(scan.stream, end, f.now())
	if err != nil {
		return false, err
	}
	scan.oldest = 0
	if !live {
		// Stored events are sent as a read would show them. Live events are sent whatever the metadata is by then.
		scan.next = max(scan.next, min(x.lowest, x.last+1))
		scan.oldest = x.oldest
	}
	scan.head, scan.left, scan.render.upTo = x.head, 1<<62, end
	if err := scan.fill(p); err != nil {
		return false, err
	}
	if x.last == tombstoned && scan.left == 0 {
		return false, errStreamDeleted(scan.stream)
	}
	return !scan.done(), nil
}

func (f *streamFeed) caughtUp(p *page) bool {
	if f.profile.awaitsStream && f.scan.head.last == noRevision {
		return false
	}
	var place []byte
	if next := f.scan.next; next > 0 {
		place = caughtUpInStream(next - 1)
	}
	p.caughtUp(f.scan.render.stamp(), place)
	return true
}

func (f *streamFeed) fellBehind(*page) {}

// listener is a running subscription.
type listener struct {
	*service
	stream grpc.ServerStream
	feed   feed
	live   bool // it has reached the end, and has not been more than a page behind since
}

// run confirms the subscription, then reads and sends until the client disconnects or the server shuts down. Whenever it reaches the end after
// having been behind, it sends that it has caught up. While it waits, no events are queued: it reads them from the log.
func (l *listener) run() error {
	var p page
	id := &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: uuid.NewString()}
	if err := p.message(&streams.ReadResp{Content: &streams.ReadResp_Confirmation{Confirmation: id}}); err != nil {
		return err
	}
	for {
		moved := l.store.moved()
		more, err := l.feed.fill(&p, l.end(l.stream), l.live)
		switch {
		case err != nil:
			return sendThenFail(l.stream, &p, err)
		case l.live && l.profile.dropsSlow && len(p.ends) > slowMessages:
			return errTooSlow
		case !more && !l.live:
			l.live = l.feed.caughtUp(&p)
		case more && l.live:
			l.live = false
			l.feed.fellBehind(&p)
		}
		if err := p.send(l.stream); err != nil {
			return err
		}
		if more {
			if err := l.interrupted(l.stream); err != nil {
				return err
			}
			continue
		}
		select {
		case <-moved:
		case <-l.closing:
			return errClosing
		case <-l.stream.Context().Done():
			return l.stream.Context().Err()
		}
	}
}
