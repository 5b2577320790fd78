package embedded

import (
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
)

// subscribeToAll sends all events after a position, stored and future ones. With a filter it also sends checkpoints: at every interval, and
// when it has reached the end.
func (s *service) subscribeToAll(stream grpc.ServerStream, r render, f *filter, from uint64) error {
	scan := &allScan{store: s.store, render: r, filter: f, next: s.imitation.resumed(from, r.upTo) + 1, checkpoints: f != nil}
	l := listener{service: s, stream: stream}
	return l.run(func(end uint64, p *page) (more bool, err error) {
		scan.end, scan.left, scan.render.upTo = end, 1<<62, end
		if err := scan.fill(p); err != nil {
			return false, err
		}
		if scan.next <= end {
			return true, nil
		}
		if !l.live && scan.considered > 0 {
			scan.considered = 0
			p.checkpoint(scan.next - 1)
		}
		return false, nil
	})
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
	scan := &streamScan{store: s.store, render: r, stream: name, next: after + 1}
	l := listener{service: s, stream: stream}
	return l.run(func(end uint64, p *page) (more bool, err error) {
		x, err := s.store.extent(name, end, s.now())
		if err != nil {
			return false, err
		}
		if !l.live {
			// Stored events are sent as a read would show them. Live events are sent whatever the metadata is by then.
			scan.next = max(scan.next, min(x.lowest, x.last+1))
		}
		scan.head, scan.left, scan.render.upTo = x.head, 1<<62, end
		scan.oldest = 0
		if !l.live {
			scan.oldest = x.oldest
		}
		if err := scan.fill(p); err != nil {
			return false, err
		}
		if x.last == tombstoned && scan.left == 0 {
			return false, errStreamDeleted(name)
		}
		return !scan.done(), nil
	})
}

// listener is a running subscription.
type listener struct {
	service *service
	stream  grpc.ServerStream
	live    bool // it has reached the end, and has not been more than a page behind since
}

// run confirms the subscription, then reads and sends until the client disconnects or the server shuts down. read adds the events up to the
// given end of the log to the page, as far as they fit, and reports whether there are more. Whenever run reaches the end after having been
// behind, it sends that it has caught up. While it waits, no events are queued: it reads them from the log.
func (l *listener) run(read func(end uint64, p *page) (more bool, err error)) error {
	var p page
	id := &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: uuid.NewString()}
	if err := p.message(&streams.ReadResp{Content: &streams.ReadResp_Confirmation{Confirmation: id}}); err != nil {
		return err
	}
	for {
		moved := l.service.store.moved()
		more, err := read(l.service.end(l.stream), &p)
		if err != nil {
			return sendThenFail(l.stream, &p, err)
		}
		if !more && !l.live {
			if err := p.message(&streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{CaughtUp: &streams.ReadResp_CaughtUp{}}}); err != nil {
				return err
			}
		}
		l.live = !more
		if err := p.send(l.stream); err != nil {
			return err
		}
		if more {
			if err := l.service.interrupted(l.stream); err != nil {
				return err
			}
			continue
		}
		select {
		case <-moved:
		case <-l.service.closing:
			return errClosing
		case <-l.stream.Context().Done():
			return l.stream.Context().Err()
		}
	}
}
