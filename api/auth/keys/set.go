package keys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"loyalty/domain"
)

const (
	// Refresh is how often the keys are read, and so how long a withdrawn key goes on being trusted while its provider answers.
	Refresh = time.Minute
	// DefaultMaxAge is how long keys are trusted that can't be read again.
	DefaultMaxAge = time.Hour
	// earlyEvery is how often keys are read at once, because a token names an unknown one: whoever makes names up must not make a provider
	// busy.
	earlyEvery = 10 * time.Second
	// retry is how soon they are read again after that failed.
	retry = 5 * time.Second
	// earlyWait is the most that a token waits for keys to be read.
	earlyWait = 2 * time.Second
	// timeout bounds one reading, maxAnswer what is read, in bytes.
	timeout   = 5 * time.Second
	maxAnswer = 1 << 20
)

// Options are where keys are and how long they are trusted. Log and Now are needed.
type Options struct {
	// URL is where the provider publishes its keys: over TLS, or on this machine.
	URL string
	// MaxAge is how long keys are trusted that can't be read again; 0 is DefaultMaxAge. It is at least two minutes.
	MaxAge time.Duration
	// Transport carries the requests; nil is that of package net/http.
	Transport http.RoundTripper
	Log       *slog.Logger
	Now       func() time.Time
}

// Set is the keys that an identity provider publishes, as they were last read. It may be used from many goroutines at once. It has no keys
// before Run has read them.
type Set struct {
	options Options
	client  *http.Client
	current atomic.Pointer[[]*Key]
	// readAt is when the keys were last read, in nanoseconds since 1970; 0 before.
	readAt atomic.Int64

	// asked has what tokens ask for; Run takes it.
	asked chan *lookup
	mu    sync.Mutex
	// last is the reading that was asked for last, and askedAt when.
	last    *lookup
	askedAt time.Time

	// reported is what was last logged of keys left out.
	reported []string
}

// New makes a Set. An address that others could answer in the provider's name, or a MaxAge that is shorter than two readings, is
// domain.ErrInvalid.
func New(o Options) (*Set, error) {
	at, err := url.Parse(o.URL)
	if err != nil || at.Host == "" || at.User != nil {
		return nil, domain.Invalid("jwksURL", "url_malformed", "it is an address as https://id.example/keys")
	}
	if !Confidential(at) {
		return nil, domain.Invalid("jwksURL", "url_insecure", "it is https, or http on this machine itself: whoever answers in its place can sign tokens")
	}
	if o.MaxAge == 0 {
		o.MaxAge = DefaultMaxAge
	}
	if o.MaxAge < 2*Refresh {
		return nil, domain.Invalid("jwksMaxAge", "duration_out_of_range", fmt.Sprintf("it is at least %s", 2*Refresh))
	}
	client := &http.Client{Timeout: timeout, Transport: o.Transport, CheckRedirect: func(to *http.Request, earlier []*http.Request) error {
		if len(earlier) > 3 || !Confidential(to.URL) {
			return errors.New("it leads to an address that is not followed")
		}
		return nil
	}}
	return &Set{options: o, client: client, asked: make(chan *lookup, 1)}, nil
}

// Confidential tells whether nobody can listen in, or answer instead, on the way to an address: by TLS, or on this machine.
func Confidential(at *url.URL) bool {
	host := at.Hostname()
	ip := net.ParseIP(host)
	return host != "" && (at.Scheme == "https" || at.Scheme == "http" && (host == "localhost" || ip != nil && ip.IsLoopback()))
}

// Run reads the keys: at once, every minute, and when a token names one that is not known. It ends with ctx.
func (s *Set) Run(ctx context.Context) {
	defer s.client.CloseIdleConnections()
	err := s.read(ctx)
	for {
		wait := Refresh
		if err != nil {
			wait = retry
		}
		again := time.NewTimer(wait)
		select {
		case <-again.C:
			err = s.read(ctx)
		case reading := <-s.asked:
			err = s.read(ctx)
			reading.failed = err
			close(reading.done)
		case <-ctx.Done():
			again.Stop()
			return
		}
		again.Stop()
	}
}

// read reads the keys once.
func (s *Set) read(ctx context.Context) error {
	err := s.replace(ctx)
	if err != nil && ctx.Err() == nil {
		age, known := s.Age()
		s.options.Log.LogAttrs(ctx, slog.LevelWarn, "the keys that tokens are signed with can't be read", slog.String("url", s.options.URL), slog.Any("error", err),
			slog.Bool("known", known), slog.Duration("age", age.Round(time.Second)), slog.Duration("trusted_for", s.options.MaxAge))
	}
	return err
}

func (s *Set) replace(ctx context.Context) error {
	data, err := s.get(ctx)
	if err != nil {
		return err
	}
	found, leftOut, err := parse(data)
	if err != nil {
		return err
	}
	if !slices.Equal(leftOut, s.reported) {
		for _, key := range leftOut {
			s.options.Log.LogAttrs(ctx, slog.LevelWarn, "a published key is left out", slog.String("url", s.options.URL), slog.String("because", key))
		}
		s.reported = leftOut
	}
	earlier := s.all()
	for i, key := range found {
		key.set = s
		if known := slices.IndexFunc(earlier, key.equal); known >= 0 {
			found[i] = earlier[known]
		}
	}
	s.current.Store(&found)
	s.readAt.Store(s.options.Now().UnixNano())
	for _, key := range earlier {
		if !slices.Contains(found, key) {
			key.withdrawn.Store(true)
		}
	}
	return nil
}

func (s *Set) get(ctx context.Context) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.options.URL, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it is answered with %d", response.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err == nil && len(data) > maxAnswer {
		err = fmt.Errorf("it is longer than %d bytes", maxAnswer)
	}
	return data, err
}

func (s *Set) all() []*Key {
	if known := s.current.Load(); known != nil {
		return *known
	}
	return nil
}

// Count is the number of keys that are published and can be used.
func (s *Set) Count() int { return len(s.all()) }

// Age is how long ago the keys were last read; false if they never were.
func (s *Set) Age() (time.Duration, bool) {
	at := s.readAt.Load()
	if at == 0 {
		return 0, false
	}
	return max(0, s.options.Now().Sub(time.Unix(0, at))), true
}

func (s *Set) fresh(now time.Time) bool {
	at := s.readAt.Load()
	return at != 0 && now.Sub(time.Unix(0, at)) < s.options.MaxAge
}

// Ready is nil while there are keys that are trusted; else it says what there is instead.
func (s *Set) Ready() error {
	age, known := s.Age()
	switch {
	case !known:
		return fmt.Errorf("%w: the keys that tokens are signed with were never read", domain.ErrUnavailable)
	case age >= s.options.MaxAge:
		return fmt.Errorf("%w: the keys that tokens are signed with were last read %s ago", domain.ErrUnavailable, age.Round(time.Second))
	case s.Count() == 0:
		return fmt.Errorf("%w: the identity provider publishes no key that can be used", domain.ErrUnavailable)
	}
	return nil
}
