package orders

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"loyalty/api/auth"
	"loyalty/api/request"
	"loyalty/api/slowclient"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/internal/problem"
	"loyalty/internal/strictjson"
)

// batchWindow is how many lines of one batch are under way at once, and so bounds its memory.
const batchWindow = 128

// batch is a request with an order on each line. The reading goroutine gives each line an entry, of which there are batchWindow, and starts
// its command. The writing goroutine takes the entries in the order of their lines.
type batch struct {
	handler *Handler
	claims  auth.Claims
	caller  commands.Caller
	free    chan *entry
	inOrder chan *entry
	// underWay has, for each order, the channel that the last line about it closes when done. The next line about the order waits for it.
	underWay map[domain.OrderID]chan struct{}
	// unavailable counts the lines in a row that found the store unavailable.
	unavailable atomic.Int64
}

// entry is a line under way.
type entry struct {
	number int64
	order  domain.OrderID
	// answer is complete when done is closed.
	answer []byte
	done   chan struct{}
}

// PlaceBatch places the orders of a batch, one on each line, and answers with a line for each in the same order while it reads on. It ends
// when the client has sent all, stops sending or reading, its token expires or is refused, or the server stops. A line without an answer was then not read.
func (h *Handler) PlaceBatch(ctx context.Context, c echo.Context, caller auth.Claims) error {
	response := c.Response()
	if !request.HasContentType(c.Request(), request.MIMELines) {
		return problem.ErrContentType
	}
	if err := h.Writes.Batches.Acquire(ctx, caller); err != nil {
		return err
	}
	defer h.Writes.Batches.Release(caller)
	control := http.NewResponseController(response)
	if err := control.EnableFullDuplex(); err != nil {
		return fmt.Errorf("answer a request while reading it: %w", err)
	}
	header := response.Header()
	header["Content-Type"] = []string{request.MIMELines}
	// What is left of a batch that ended early must not be taken for another request.
	header["Connection"] = []string{"close"}

	// Nothing more is read once the client is gone or takes no answers, or the server stops. What was read is carried out all the same:
	// net/http ends a request's context as soon as reading from it fails, also when this server stops reading.
	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	giveUp := func() { stopReading(); cancel() }
	body := slowclient.NewBody(c.Request().Body, control)
	defer body.Finish()
	b := &batch{
		handler: h, claims: caller, caller: request.CallerOf(c, caller), underWay: make(map[domain.OrderID]chan struct{}),
		free: make(chan *entry, batchWindow), inOrder: make(chan *entry, batchWindow),
	}
	for range batchWindow {
		b.free <- new(entry)
	}
	defer context.AfterFunc(h.Stopping, stopReading)()
	expired := time.AfterFunc(caller.Expires.Add(auth.ClockLeeway).Sub(h.Now()), stopReading)
	defer expired.Stop()
	defer context.AfterFunc(reading, body.Stop)()

	var failed, broken error
	var writing sync.WaitGroup
	writing.Go(func() { failed = b.write(slowclient.NewWriter(response, control), giveUp) })
	func() {
		defer writing.Wait()
		defer close(b.inOrder)
		broken = b.read(ctx, reading, newLines(body))
	}()
	failed = cmp.Or(failed, broken)
	if failed != nil {
		return fmt.Errorf("%w: %w", problem.ErrClientGone, failed)
	}
	if !response.Committed {
		response.WriteHeader(http.StatusOK)
	}
	return nil
}

// read starts the command of each line, until there are no more or reading ends. It returns an error if the client has gone.
func (b *batch) read(ctx, reading context.Context, from lines) error {
	for number := int64(1); ; number++ {
		line, err := from.next()
		if err != nil && !errors.Is(err, strictjson.ErrTooLarge) {
			if slowclient.BrokenOff(err) {
				return err
			}
			return nil
		}
		if !b.handler.Accepts(b.claims) {
			return nil
		}
		var e *entry
		select {
		case e = <-b.free:
		case <-reading.Done():
			return nil
		}
		if b.underWay[e.order] == e.done {
			delete(b.underWay, e.order)
		}
		var command commands.PlaceOrder
		if err == nil {
			command, err = decodeLine(line, b.claims)
		}
		if waited := b.pace(reading); err == nil {
			err = waited
		}
		b.begin(ctx, e, number, command, err)
	}
}

// pace waits until the caller's rate allows another line. It fails with domain.ErrUnavailable if reading ends before.
func (b *batch) pace(reading context.Context) error {
	wait := b.handler.Rates.Reserve(b.claims, b.handler.Now)
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-reading.Done():
		return fmt.Errorf("%w: the batch has ended", domain.ErrUnavailable)
	}
}

// begin carries out a line, once an earlier one about the same order is done, or answers it with err.
func (b *batch) begin(ctx context.Context, e *entry, number int64, command commands.PlaceOrder, err error) {
	e.number, e.order, e.done = number, command.Order, make(chan struct{})
	if err != nil {
		e.order = ""
		b.answer(e, command.Order, commands.Placed{}, err)
		b.inOrder <- e
		return
	}
	command.Caller = b.caller
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

// place places an order, unless batchWindow lines in a row found the store unavailable. The rest of the batch is then not tried, because
// waiting for the same answer line by line could take hours.
func (b *batch) place(ctx context.Context, command commands.PlaceOrder) (placed commands.Placed, err error) {
	defer request.Recover(&err)
	if b.unavailable.Load() >= batchWindow {
		return placed, domain.ErrUnavailable
	}
	placed, err = b.placeAdmitted(ctx, command)
	switch {
	case ctx.Err() != nil: // the client takes no answers any more
	case errors.Is(err, domain.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		if b.unavailable.Add(1) == 1 {
			b.handler.Log.LogAttrs(ctx, slog.LevelWarn, "a line of a batch", slog.String("id", b.caller.Correlation), slog.Any("error", err))
		}
	default:
		b.unavailable.Store(0)
	}
	return placed, err
}

// placeAdmitted places an order once there is a slot for a line.
func (b *batch) placeAdmitted(ctx context.Context, command commands.PlaceOrder) (commands.Placed, error) {
	writes := b.handler.Writes
	if err := writes.AcquireLine(ctx, b.claims); err != nil {
		return commands.Placed{}, err
	}
	defer writes.ReleaseLine(b.claims)
	ctx, cancel := context.WithTimeout(ctx, request.Timeout)
	defer cancel()
	return b.handler.Commands.PlaceOrder(ctx, command)
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
	b.handler.Lines.WithLabelValues(status).Inc()
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
	p := problem.Of(err)
	p.ID = b.caller.Correlation
	if p.Status == http.StatusInternalServerError {
		b.handler.Log.LogAttrs(context.Background(), slog.LevelError, p.Title,
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
