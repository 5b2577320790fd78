package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"loyalty/domain"
)

// exchange sends the request and reads the answer to it.
func (c *orderClient) exchange(ctx context.Context) (status int, header http.Header, body []byte, err error) {
	if c.conn == nil {
		if c.conn, err = c.server.dial(ctx); err != nil {
			c.conn = nil
			return 0, nil, nil, err
		}
		c.reader = bufio.NewReaderSize(c.conn, 4<<10)
	}
	if err := c.conn.SetDeadline(time.Now().Add(orderTimeout)); err != nil {
		return 0, nil, nil, err
	}
	if _, err := c.conn.Write(c.request); err != nil {
		return 0, nil, nil, err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0, nil, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	if response.Close {
		c.hangUp()
	}
	return response.StatusCode, response.Header, body, err
}

func (c *orderClient) hangUp() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// orderServer is the server that orders are sent to, with tokens for it.
type orderServer struct {
	base *url.URL
	// tokens are for channels; support is the token of a member of support, who may read every trail.
	tokens  []string
	support string
	http    *http.Client
	// cpu returns the processor time that the server has used. It is nil if that is not known.
	cpu func(context.Context) (time.Duration, error)
}

func (s *orderServer) dial(ctx context.Context) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: orderTimeout}
	if s.base.Scheme == "https" {
		return (&tls.Dialer{NetDialer: dialer}).DialContext(ctx, "tcp", withPort(s.base, "443"))
	}
	return dialer.DialContext(ctx, "tcp", withPort(s.base, "80"))
}

func withPort(u *url.URL, port string) string {
	if u.Port() != "" {
		port = u.Port()
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// read makes a GET request as support and decodes the answer, which reflects the position. It retries 429, 5xx and failed connections
// until ctx ends.
func (s *orderServer) read(ctx context.Context, path string, position domain.Position, into any) error {
	for attempt := 1; ; attempt++ {
		status, answer, err := s.get(ctx, path, position)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("GET %s: %w", path, ctx.Err())
		case err == nil && status == http.StatusOK:
			return json.NewDecoder(bytes.NewReader(answer)).Decode(into)
		case err == nil && status < 500 && status != http.StatusTooManyRequests:
			return fmt.Errorf("GET %s was answered %d: %s", path, status, answer)
		}
		if !waitUntil(ctx, time.Now().Add(min(backoff(attempt), 100*time.Millisecond))) {
			return errors.Join(ctx.Err(), err)
		}
	}
}

func (s *orderServer) get(ctx context.Context, path string, position domain.Position) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base.String()+path, nil)
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+s.support)
	if position != (domain.Position{}) {
		request.Header.Set("Loyalty-Min-Position", position.String())
	}
	response, err := s.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}
