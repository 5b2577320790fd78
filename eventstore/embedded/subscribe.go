package embedded

import (
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
)

// subscribeToAll sends everything that comes after a position, now and from now on. With a filter it also says how far it
// has looked: at every interval, and when it has reached the end.
func (s *service) subscribeToAll(stream grpc.ServerStream, r render, f *filter, from uint64) error {
	scan := &allScan{store: s.store, render: r, filter: f, next: from + 1, checkpoints: f != nil}
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

// subscribeToStream sends every event of a stream after a revision, now and from now on. The stream need not exist yet.
// When it is tombstoned, the subscription ends.
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
			// History is read as a read would show it. What comes while live is sent whatever the metadata says by then.
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

// listener is a subscription at work. Its read function puts what there is up to the given end of the log on the page, as
// far as it fits, and tells whether there is more.
type listener struct {
	service *service
	stream  grpc.ServerStream
	live    bool // it has reached the end, and not fallen more than a page behind since
}

// run confirms the subscription, then reads and sends until the client goes away or the server shuts down. Whenever it
// reaches the end after having been behind, it says that it has caught up. Waiting costs nothing but a goroutine: no event
// is queued for it, it goes back to the log.
func (l *listener) run(read func(end uint64, p *page) (more bool, err error)) error {
	var p page
	id := &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: uuid.NewString()}
	if err := p.message(&streams.ReadResp{Content: &streams.ReadResp_Confirmation{Confirmation: id}}); err != nil {
		return err
	}
	for {
		moved := l.service.store.wait()
		more, err := read(l.service.store.end(), &p)
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
