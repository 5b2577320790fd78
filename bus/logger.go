package bus

import (
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
)

// quietFor is for how long an error that Watermill repeats is kept to itself: every subscription repeats it twice a second
// while a broker is away.
const quietFor = 10 * time.Second

// logger hands on what Watermill has to say: errors as warnings, since whatever can be done about them is done, and each
// once in a while; the rest as debugging.
type logger struct {
	watermill.LoggerAdapter
	said *lastSaid
}

type lastSaid struct {
	mu sync.Mutex
	at map[string]time.Time
}

// NewLogger makes a logger for Watermill's publishers and subscribers.
func NewLogger(log *slog.Logger) watermill.LoggerAdapter { return newLogger(log) }

func newLogger(log *slog.Logger) logger {
	return logger{
		watermill.NewSlogLoggerWithLevelMapping(log, map[slog.Level]slog.Level{slog.LevelError: slog.LevelWarn, slog.LevelInfo: slog.LevelDebug}),
		&lastSaid{at: make(map[string]time.Time)},
	}
}

// inOrder is what Watermill's router calls an error when its handlers have ended, as they do when an intake is to end.
const inOrder = "All handlers stopped, closing router"

// Error hands on an error unless the same was handed on a moment ago.
func (l logger) Error(text string, err error, fields watermill.LogFields) {
	if text != inOrder && l.said.now(text) {
		l.LoggerAdapter.Error(text, err, fields)
	}
}

// With is the same logger with more fields.
func (l logger) With(fields watermill.LogFields) watermill.LoggerAdapter {
	return logger{l.LoggerAdapter.With(fields), l.said}
}

func (s *lastSaid) now(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Sub(s.at[text]) < quietFor {
		return false
	}
	s.at[text] = now
	return true
}
