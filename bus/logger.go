package bus

import (
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
)

const (
	// repeatAfter is the least time between two log lines of the same error of Watermill's: every subscription repeats it twice a second while a
	// broker is away.
	repeatAfter = 10 * time.Second
	// warnAfter is the same for warnings of ours about the same thing.
	warnAfter = time.Second
)

// logger logs for Watermill: errors as warnings, because they are retried, and each once in repeatAfter; the rest as debugging.
type logger struct {
	watermill.LoggerAdapter
	logged *lastLogged
}

// lastLogged has the time at which each error was last logged.
type lastLogged struct {
	mu sync.Mutex
	at map[string]time.Time
}

// NewLogger returns a logger for publishers and subscribers of Watermill.
func NewLogger(log *slog.Logger) watermill.LoggerAdapter { return newLogger(log) }

func newLogger(log *slog.Logger) logger {
	return logger{
		watermill.NewSlogLoggerWithLevelMapping(log, map[slog.Level]slog.Level{slog.LevelError: slog.LevelWarn, slog.LevelInfo: slog.LevelDebug}),
		&lastLogged{at: make(map[string]time.Time)},
	}
}

// routerStopped is what Watermill's router logs as an error when its handlers have ended, which they do when an intake stops.
const routerStopped = "All handlers stopped, closing router"

// Error logs an error unless the same was logged less than repeatAfter ago.
func (l logger) Error(text string, err error, fields watermill.LogFields) {
	if text != routerStopped && l.logged.due(text, repeatAfter) {
		l.LoggerAdapter.Error(text, err, fields)
	}
}

// With returns the same logger with more fields.
func (l logger) With(fields watermill.LogFields) watermill.LoggerAdapter {
	return logger{l.LoggerAdapter.With(fields), l.logged}
}

// due reports whether an error may be logged now, and notes that it is.
func (s *lastLogged) due(text string, after time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Sub(s.at[text]) < after {
		return false
	}
	s.at[text] = now
	return true
}

// limited logs warnings that come for each of many commands while something is away.
type limited struct {
	*slog.Logger
	logged *lastLogged
}

func newLimited(log *slog.Logger) limited {
	return limited{log, &lastLogged{at: make(map[string]time.Time)}}
}

// warn logs a warning about a thing, one of a few, unless the last of the same about the same came less than warnAfter ago.
func (l limited) warn(text, what string, args ...any) {
	if l.logged.due(text+what, warnAfter) {
		l.Warn(text, append([]any{"what", what}, args...)...)
	}
}
