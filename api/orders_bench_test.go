package api_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"loyalty/api"
)

// BenchmarkOrderRequest takes orders, token and all, without a network and with nothing behind the API: what the way in costs.
func BenchmarkOrderRequest(b *testing.B) {
	c := config(b, new(lockedBuffer))
	c.Log, c.Commands = slog.New(slog.DiscardHandler), fixed{}
	server, err := api.New(c)
	if err != nil {
		b.Fatal(err)
	}
	body := orderOf(`"129.99"`, "c-4711")
	r := httptest.NewRequest(http.MethodPost, "/order/o-4711", nil)
	r.Header.Set("Authorization", "Bearer "+mint(b, till))
	r.Header.Set("Content-Type", "application/json")
	r.ContentLength = int64(len(body))
	w, reader := &discard{header: make(http.Header)}, strings.NewReader(body)
	r.Body = unclosed{reader}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		reader.Reset(body)
		server.ServeHTTP(w, r)
		if w.status != http.StatusCreated {
			b.Fatalf("answered with %d", w.status)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "orders/s")
}

// unclosed is a body that can be read again.
type unclosed struct{ *strings.Reader }

func (unclosed) Close() error { return nil }
