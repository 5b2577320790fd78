package api

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// linePatience is how long a batch waits for its client to send on, answerPatience for it to take an answer, and
	// farewell for it to stop sending after the last answer.
	linePatience   = 15 * time.Second
	answerPatience = 30 * time.Second
	farewell       = time.Second
)

// errStopped is the end of a body that is read no further.
var errStopped = errors.New("the server reads no further")

// patientBody is a request's body that may take any time as a whole, as long as something comes within linePatience. The
// deadlines are the kernel's business, and so are by the real clock; setting one fails only where the connection is gone,
// which reading from it tells as well.
type patientBody struct {
	from    io.Reader
	control *http.ResponseController

	mu             sync.Mutex
	stopped, ended bool
}

func (p *patientBody) Read(data []byte) (int, error) {
	p.mu.Lock()
	if p.stopped {
		p.mu.Unlock()
		return 0, errStopped
	}
	_ = p.control.SetReadDeadline(time.Now().Add(linePatience))
	p.mu.Unlock()
	n, err := p.from.Read(data)
	if err == io.EOF {
		p.mu.Lock()
		defer p.mu.Unlock()
		// From here on net/http reads, to learn when the client goes away. That may take any time.
		p.ended = true
		_ = p.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// stop makes a Read that waits return, and every later one.
func (p *patientBody) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	if !p.ended {
		_ = p.control.SetReadDeadline(time.Now())
	}
}

// finish leaves the rest of the body to net/http, which throws some of it away after the answer: a connection that is closed
// while its client sends takes with it what the client has not read yet. stop has no effect any more.
func (p *patientBody) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.ended = true
		_ = p.control.SetReadDeadline(time.Now().Add(farewell))
	}
}

// patientWriter is an answer that may take any time as a whole, as long as its client takes each part within answerPatience.
type patientWriter struct {
	to      http.ResponseWriter
	control *http.ResponseController
}

func (p *patientWriter) Write(data []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(answerPatience)); err != nil {
		return 0, err
	}
	return p.to.Write(data)
}

func (p *patientWriter) flush() error { return p.control.Flush() }
