package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"loyalty/api/slowclient"
	"loyalty/commands"
	"loyalty/domain"
)

const (
	// mimeLines is a JSON value to a line.
	mimeLines = "application/x-ndjson"
	// batchWindow is how many lines of one batch are under way at once, and so bounds its memory.
	batchWindow = 128
)

// batch is a request with an order to a line. Whoever reads the request gives each line an entry, of which there are
// batchWindow, and carries it out; who writes the answer takes the entries in the order of their lines.
type batch struct {
	server  *Server
	caller  Claims
	behalf  commands.Caller
	free    chan *entry
	inOrder chan *entry
	// underWay is what the last line about an order closes when it is done: the next one about the same order waits for it.
	underWay map[domain.OrderID]chan struct{}
	// away counts lines in a row that found the store unavailable.
	away atomic.Int64
}

// entry is a line under way.
type entry struct {
	number int64
	order  domain.OrderID
	// answer is complete when done is closed.
	answer []byte
	done   chan struct{}
}

// placeOrders places the orders of a batch, a line each, and answers with a line for each in the same order while it reads on.
// It ends when the client has sent all, stops sending or reading, or the server stops: then a line without an answer was not
// read.
func (s *Server) placeOrders(ctx context.Context, c echo.Context, caller Claims) error {
	request, response := c.Request(), c.Response()
	if !hasContentType(request, mimeLines) {
		return errContentType
	}
	if err := s.admission.Writes.AcquireBatch(); err != nil {
		return err
	}
	defer s.admission.Writes.ReleaseBatch()
	control := http.NewResponseController(response)
	if err := control.EnableFullDuplex(); err != nil {
		return fmt.Errorf("answer a request while reading it: %w", err)
	}
	header := response.Header()
	header["Content-Type"] = []string{mimeLines}
	// What is left of a batch that ended early must not be taken for another request.
	header["Connection"] = []string{"close"}

	// Nothing more is read once the client is gone, nobody takes the answers, or the server stops. But net/http ends a request's context
	// as soon as reading from it fails, also because we stop: what was read is carried out all the same.
	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	giveUp := func() { stopReading(); cancel() }
	body := slowclient.NewBody(request.Body, control)
	defer body.Finish()
	b := &batch{
		server: s, caller: caller, behalf: behalf(c, caller), underWay: make(map[domain.OrderID]chan struct{}),
		free: make(chan *entry, batchWindow), inOrder: make(chan *entry, batchWindow),
	}
	for range batchWindow {
		b.free <- new(entry)
	}
	defer context.AfterFunc(s.stopping, stopReading)()
	defer context.AfterFunc(reading, body.Stop)()

	var failed error
	var writing sync.WaitGroup
	writing.Go(func() { failed = b.write(slowclient.NewWriter(response, control), giveUp) })
	func() {
		defer writing.Wait()
		defer close(b.inOrder)
		b.read(ctx, reading, newLines(body))
	}()
	if failed != nil {
		s.config.Log.LogAttrs(ctx, slog.LevelDebug, "answer not sent", slog.String("id", b.behalf.Correlation), slog.Any("error", failed))
	} else if !response.Committed {
		response.WriteHeader(http.StatusOK)
	}
	return nil
}

// read begins what each line asks for, until there are no more or reading ends.
func (b *batch) read(ctx, reading context.Context, from lines) {
	for number := int64(1); ; number++ {
		line, err := from.next()
		if err != nil && !errors.Is(err, errBodyTooLarge) {
			return
		}
		var e *entry
		select {
		case e = <-b.free:
		case <-reading.Done():
			return
		}
		if b.underWay[e.order] == e.done {
			delete(b.underWay, e.order)
		}
		var command commands.PlaceOrder
		if err == nil {
			command, err = decodeLine(line, b.caller)
		}
		if waited := b.pace(reading); err == nil {
			err = waited
		}
		b.begin(ctx, e, number, command, err)
	}
}

// pace waits until the caller's rate allows another line. It fails with domain.ErrUnavailable if reading ends before.
func (b *batch) pace(reading context.Context) error {
	wait := b.server.admission.WriteRates.Reserve(b.caller, b.server.config.Now)
	if wait <= 0 {
		return nil
	}
	turn := time.NewTimer(wait)
	defer turn.Stop()
	select {
	case <-turn.C:
		return nil
	case <-reading.Done():
		return fmt.Errorf("%w: the batch has ended", domain.ErrUnavailable)
	}
}

// begin carries out a line, after an earlier one about the same order, or answers it with what is wrong with it.
func (b *batch) begin(ctx context.Context, e *entry, number int64, command commands.PlaceOrder, err error) {
	e.number, e.order, e.done = number, command.Order, make(chan struct{})
	if err != nil {
		e.order = ""
		b.answer(e, command.Order, commands.Placed{}, err)
		b.inOrder <- e
		return
	}
	command.Caller = b.behalf
	before := b.underWay[e.order]
	b.underWay[e.order] = e.done
	go func() {
		if before != nil {
			<-before
		}
		placed, err := b.place(ctx, command)
		b.answer(e, command.Order, placed, err)
	}()
	b.inOrder <- e
}

// place places an order, unless as many lines in a row as are under way at once found the store unavailable: the rest of the
// batch is then not tried, so that it does not take hours to say the same of each.
func (b *batch) place(ctx context.Context, command commands.PlaceOrder) (placed commands.Placed, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()
	if b.away.Load() >= batchWindow {
		return placed, domain.ErrUnavailable
	}
	placed, err = b.placeAdmitted(ctx, command)
	if errors.Is(err, domain.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		if b.away.Add(1) == 1 {
			b.server.config.Log.LogAttrs(ctx, slog.LevelWarn, "a line of a batch", slog.String("id", b.behalf.Correlation), slog.Any("error", err))
		}
	} else {
		b.away.Store(0)
	}
	return placed, err
}

// placeAdmitted places an order once there is a slot for a line.
func (b *batch) placeAdmitted(ctx context.Context, command commands.PlaceOrder) (commands.Placed, error) {
	writes := b.server.admission.Writes
	if err := writes.AcquireLine(ctx); err != nil {
		return commands.Placed{}, err
	}
	defer writes.ReleaseLine()
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return b.server.config.Commands.PlaceOrder(ctx, command)
}

// linesMetric is the name of the counter of lines.
const linesMetric = "loyalty_batch_lines_total"

// newLineCounter counts the lines of batches by what became of them.
func newLineCounter(registries ...*prometheus.Registry) (*prometheus.CounterVec, error) {
	lines := prometheus.NewCounterVec(prometheus.CounterOpts{Name: linesMetric, Help: "Lines of batches answered, by status."}, []string{"status"})
	for _, registry := range registries {
		if err := registry.Register(lines); err != nil {
			return nil, fmt.Errorf("register the metrics of batches: %w", err)
		}
	}
	return lines, nil
}

// answer writes the answer of a line, which is then done.
func (b *batch) answer(e *entry, order domain.OrderID, placed commands.Placed, err error) {
	defer close(e.done)
	answer := append(e.answer[:0], `{"line":`...)
	answer = strconv.AppendInt(answer, e.number, 10)
	if order != "" {
		answer = append(answer, `,"orderId":"`...)
		answer = append(answer, order...)
		answer = append(answer, '"')
	}
	status := "placed"
	switch {
	case err == nil:
		if placed.Replayed {
			status = "replayed"
		}
	case errors.Is(err, domain.ErrConflict):
		status = "conflict"
	default:
		status = "problem"
	}
	b.server.lines.WithLabelValues(status).Inc()
	answer = append(answer, `,"status":"`...)
	answer = append(answer, status...)
	answer = append(answer, `",`...)
	if err == nil {
		answer = appendPlaced(answer, placed)
	} else {
		answer = append(answer, `"problem":`...)
		answer = append(answer, b.problem(e, err)...)
	}
	e.answer = append(answer, "}\n"...)
}

// problem is what an error is to the caller, as JSON.
func (b *batch) problem(e *entry, err error) []byte {
	p := problemOf(err)
	p.ID = b.behalf.Correlation
	if p.Status == http.StatusInternalServerError {
		b.server.config.Log.LogAttrs(context.Background(), slog.LevelError, p.Title,
			slog.String("id", p.ID), slog.Int64("line", e.number), slog.Any("error", err))
	}
	text, err := json.Marshal(p)
	if err != nil {
		// A Problem is made of strings and numbers.
		panic(err)
	}
	return text
}

// write sends the answers in the order of the lines, as they come, and gives each entry back. Once one can't be sent it gives
// up the batch.
func (b *batch) write(to *slowclient.Writer, giveUp func()) (failed error) {
	answers := bufio.NewWriterSize(to, 32<<10)
	flush := func() {
		if failed == nil && answers.Buffered() > 0 {
			if failed = errors.Join(answers.Flush(), to.Flush()); failed != nil {
				giveUp()
			}
		}
	}
	defer flush()
	for {
		var e *entry
		var more bool
		select {
		case e, more = <-b.inOrder:
		default:
			flush()
			e, more = <-b.inOrder
		}
		if !more {
			return failed
		}
		select {
		case <-e.done:
		default:
			flush()
			<-e.done
		}
		if failed == nil {
			if _, failed = answers.Write(e.answer); failed != nil {
				giveUp()
			}
		}
		b.free <- e
	}
}
