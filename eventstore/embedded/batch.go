package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
)

// Bounds of one BatchAppend call.
const (
	batchOpen      = 1024     // appends of which the last message has not arrived
	batchOpenBytes = 16 << 20 // the size of their events
	batchPending   = 1024     // complete appends not yet answered; at the limit, no message is received
)

const errBatchFull = errInvalid("too much of this call is begun and not final")

// batchWriteTimeout bounds how long an append of a batch waits for the disk, as EventStoreDB's WriteTimeoutMs does by
// default.
const batchWriteTimeout = 2 * time.Second

// BatchAppend receives many appends in one call, each in one or more messages with its correlation id, and answers each with that id, in
// the order in which they became complete. An append that fails ends neither the call nor the others.
func (s *service) BatchAppend(stream streams.Streams_BatchAppendServer) error {
	c := &batchCall{
		service: s, stream: stream, open: map[uuid.UUID]*batchAppend{}, pending: make(chan *batchAppend, batchPending),
	}
	messages, ended := make(chan *streams.BatchAppendReq), make(chan error, 1)
	// It ends with the call, which is after this method returns. The server waits for it.
	s.receiving.Go(func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				ended <- err
				return
			}
			select {
			case messages <- m:
			case <-stream.Context().Done():
				return
			}
		}
	})
	answered := make(chan error, 1)
	go func() { answered <- c.answer() }()
	err := c.take(messages, ended)
	close(c.pending)
	if answerErr := <-answered; err == nil {
		err = answerErr
	}
	return err
}

// batchCall is one call of BatchAppend.
type batchCall struct {
	*service
	stream    streams.Streams_BatchAppendServer
	open      map[uuid.UUID]*batchAppend
	openBytes int
	pending   chan *batchAppend
}

// batchAppend is one append of a call.
type batchAppend struct {
	id          uuid.UUID
	correlation *shared.UUID // the id as the client wrote it
	request     request
	size        int // of its events, as maxAppendBytes counts
	bytes       int // of its events, as batchOpenBytes counts
	deadline    time.Time
	err         error // set if it did not get to the writer
}

// take receives messages until the client has sent its last or the server shuts down.
func (c *batchCall) take(messages <-chan *streams.BatchAppendReq, ended <-chan error) error {
	for {
		select {
		case m := <-messages:
			if err := c.message(m); err != nil {
				return err
			}
		case err := <-ended:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case <-c.closing:
			return errClosing
		}
	}
}

// message handles one message. Its error ends the call; an error of the append is an answer.
func (c *batchCall) message(m *streams.BatchAppendReq) error {
	id := uuidOf(m.GetCorrelationId())
	a, known := c.open[id]
	switch {
	case known:
	case id == uuid.Nil:
		a = &batchAppend{correlation: m.GetCorrelationId()}
		a.request.stream = string(m.GetOptions().GetStreamIdentifier().GetStreamName())
		return c.fail(a, errInvalid("batch append: the correlation id is missing or not a UUID"))
	case m.GetOptions() == nil:
		return nil // of an append that has failed already
	default:
		a = &batchAppend{id: id, correlation: m.GetCorrelationId()}
		if err := c.begin(a, m.GetOptions()); err != nil {
			return c.fail(a, err)
		}
		c.open[id] = a
	}
	if err := c.add(a, m.GetProposedMessages()); err != nil {
		return c.fail(a, err)
	}
	if !m.GetIsFinal() {
		return nil
	}
	c.forget(a)
	if err := c.writer.enqueue(c.stream.Context(), &a.request); err != nil {
		return err
	}
	return c.pend(a)
}

func (c *batchCall) begin(a *batchAppend, o *streams.BatchAppendReq_Options) error {
	if len(c.open) >= batchOpen {
		return errBatchFull
	}
	options := appendOptions(o)
	if err := a.request.address(options, options.GetExpectedStreamRevision() != nil); err != nil {
		return err
	}
	if err := c.permit(c.stream.Context(), rightWrite, a.request.stream); err != nil {
		return err
	}
	now := c.now()
	a.deadline = now.Add(batchWriteTimeout)
	if d := o.GetDeadline(); d != nil && d.AsDuration() < batchWriteTimeout {
		a.deadline = now.Add(d.AsDuration())
	}
	if t := o.GetDeadline_21_10_0(); t != nil && t.AsTime().Before(a.deadline) {
		a.deadline = t.AsTime()
	}
	return nil
}

func (c *batchCall) add(a *batchAppend, messages []*streams.BatchAppendReq_ProposedMessage) error {
	for _, m := range messages {
		p := proposedEvent{id: uuidOf(m.GetId()), custom: m.GetCustomMetadata(), data: m.GetData()}
		eventType, hasType := m.GetMetadata()[metaType]
		contentType, hasContent := m.GetMetadata()[metaContentType]
		p.eventType, p.hasType, p.contentType, p.hasContent = []byte(eventType), hasType, []byte(contentType), hasContent
		a.size += p.size(c.profile.dataOnly)
		a.bytes += p.size(false)
		c.openBytes += p.size(false)
		if a.size > maxAppendBytes {
			return errTooBig{}
		}
		if c.openBytes > batchOpenBytes {
			return errBatchFull
		}
		event, err := p.propose(a.request.stream)
		if err != nil {
			return err
		}
		if err := a.request.add(event); err != nil {
			return err
		}
	}
	if !a.deadline.After(c.now()) {
		return context.DeadlineExceeded
	}
	return nil
}

func (c *batchCall) forget(a *batchAppend) {
	delete(c.open, a.id)
	c.openBytes -= a.bytes
}

func (c *batchCall) fail(a *batchAppend, err error) error {
	c.forget(a)
	a.err = err
	return c.pend(a)
}

// pend queues an append to be answered.
func (c *batchCall) pend(a *batchAppend) error {
	select {
	case c.pending <- a:
		return nil
	case <-c.stream.Context().Done():
		return c.stream.Context().Err()
	}
}

// answer answers the appends, one after the other, until the queue is closed. If the client has gone, it drops the answers; the appends are
// carried out all the same.
func (c *batchCall) answer() error {
	var sending error
	for a := range c.pending {
		if sending == nil {
			sending = c.stream.Send(c.response(a))
		}
	}
	return sending
}

func (c *batchCall) response(a *batchAppend) *streams.BatchAppendResp {
	var v decision
	err := a.err
	if err == nil {
		ctx, cancel := context.WithTimeout(c.stream.Context(), a.deadline.Sub(c.now()))
		v, err = a.request.await(ctx)
		cancel()
	}
	switch {
	case err != nil:
	case v.outcome == streamDeleted:
		err = errStreamDeleted(a.request.stream)
	case v.outcome == wrongVersion:
		err = errWrongVersion{a.request.stream, a.request.expected, v.revision}
	}
	resp := &streams.BatchAppendResp{
		CorrelationId:    a.correlation,
		StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(a.request.stream)},
	}
	if err != nil {
		resp.Result = &streams.BatchAppendResp_Error{Error: batchStatus(err)}
		return resp
	}
	success := &streams.BatchAppendResp_Success{
		CurrentRevisionOption: &streams.BatchAppendResp_Success_NoStream{NoStream: empty},
		PositionOption:        &streams.BatchAppendResp_Success_NoPosition{NoPosition: empty},
	}
	if v.revision >= 0 {
		success.CurrentRevisionOption = &streams.BatchAppendResp_Success_CurrentRevision{CurrentRevision: uint64(v.revision)}
	}
	if v.position > 0 {
		success.PositionOption = &streams.BatchAppendResp_Success_Position{
			Position: &shared.AllStreamPosition{CommitPosition: v.position, PreparePosition: v.position}}
	}
	resp.Result = &streams.BatchAppendResp_Success_{Success: success}
	return resp
}

// appendOptions are the options of a BatchAppend in the form of an Append's.
func appendOptions(o *streams.BatchAppendReq_Options) *streams.AppendReq_Options {
	options := &streams.AppendReq_Options{StreamIdentifier: o.GetStreamIdentifier()}
	switch expected := o.GetExpectedStreamPosition().(type) {
	case *streams.BatchAppendReq_Options_StreamPosition:
		options.ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: expected.StreamPosition}
	case *streams.BatchAppendReq_Options_NoStream:
		options.ExpectedStreamRevision = &streams.AppendReq_Options_NoStream{NoStream: &shared.Empty{}}
	case *streams.BatchAppendReq_Options_Any:
		options.ExpectedStreamRevision = &streams.AppendReq_Options_Any{Any: &shared.Empty{}}
	case *streams.BatchAppendReq_Options_StreamExists:
		options.ExpectedStreamRevision = &streams.AppendReq_Options_StreamExists{StreamExists: &shared.Empty{}}
	}
	return options
}

// uuidOf reads a UUID in either form; it is uuid.Nil if it is malformed.
func uuidOf(id *shared.UUID) (parsed uuid.UUID) {
	if s := id.GetStructured(); s != nil {
		binary.BigEndian.PutUint64(parsed[:8], uint64(s.GetMostSignificantBits()))
		binary.BigEndian.PutUint64(parsed[8:], uint64(s.GetLeastSignificantBits()))
		return parsed
	}
	parsed, err := uuid.Parse(id.GetString_())
	if err != nil {
		return uuid.Nil
	}
	return parsed
}
