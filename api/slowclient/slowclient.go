// Package slowclient reads requests and writes answers that may take any time as a whole, as long as the client is not silent for too
// long. The deadlines are the kernel's business, and so are by the real clock.
package slowclient

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

const (
	// readTimeout is how long a client may take to send on, writeTimeout to take a part of an answer, and drainTimeout to stop sending
	// after the end of the answer.
	readTimeout  = 15 * time.Second
	writeTimeout = 30 * time.Second
	drainTimeout = time.Second
)

// errStopped ends a body that is not read any further.
var errStopped = errors.New("the server reads no further")

// Body is a request's body of which something must come within 15 s. Read is for one goroutine, Stop and Finish for any.
type Body struct {
	from    io.Reader
	control *http.ResponseController

	mu             sync.Mutex
	stopped, ended bool
}

// NewBody makes a Body from that of a request and the controller of its answer.
func NewBody(from io.Reader, control *http.ResponseController) *Body {
	return &Body{from: from, control: control}
}

// Read reads on, until Stop. Setting a deadline fails only where the connection is gone, which reading tells as well.
func (b *Body) Read(data []byte) (int, error) {
	b.mu.Lock()
	if b.stopped {
		b.mu.Unlock()
		return 0, errStopped
	}
	_ = b.control.SetReadDeadline(time.Now().Add(readTimeout))
	b.mu.Unlock()
	n, err := b.from.Read(data)
	if err == io.EOF {
		b.mu.Lock()
		defer b.mu.Unlock()
		// From here on net/http reads, to learn when the client goes away. That may take any time.
		b.ended = true
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// BrokenOff tells whether an error of Read means that the client has gone: it is neither the body's end nor a pause that was too long nor Stop.
func BrokenOff(err error) bool {
	return !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, errStopped)
}

// Stop makes a Read that waits return, and every later one.
func (b *Body) Stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	if !b.ended {
		_ = b.control.SetReadDeadline(time.Now())
	}
}

// Finish leaves the rest of the body to net/http, which discards some of it after the answer: if a connection is closed while its client
// sends, the client loses what it has not read yet. Stop has no effect after it.
func (b *Body) Finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended {
		b.ended = true
		_ = b.control.SetReadDeadline(time.Now().Add(drainTimeout))
	}
}

// Writer is an answer of which the client must take each part within 30 s. It is for one goroutine.
type Writer struct {
	to      http.ResponseWriter
	control *http.ResponseController
}

// NewWriter makes a Writer of an answer with its controller.
func NewWriter(to http.ResponseWriter, control *http.ResponseController) *Writer {
	return &Writer{to: to, control: control}
}

// Write writes a part of the answer.
func (w *Writer) Write(data []byte) (int, error) {
	if err := w.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return w.to.Write(data)
}

// Flush sends what was written.
func (w *Writer) Flush() error { return w.control.Flush() }
