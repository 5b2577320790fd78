package app

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"loyalty/api/auth"
	"loyalty/domain"
)

// benchClients is how many orders are under way at once.
const benchClients = 64

// BenchmarkOrders posts orders over HTTP from 64 clients in this process: to a server that answers without doing
// anything, and to the whole system, where each is authenticated, decided, appended and fsynced before its answer while
// both projections follow. The ratio is that of the two rates.
func BenchmarkOrders(b *testing.B) {
	var empty float64
	b.Run("empty", func(b *testing.B) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"orderId":"o-1","status":"placed","points":13,"position":"42"}`)
		}))
		defer server.Close()
		empty = postOrders(b, server.URL, "none")
	})
	b.Run("loyalty", func(b *testing.B) {
		data := Folder(b.TempDir())
		s, err := Open(b.Context(), Config{
			Roles: Roles{Command: true, Query: true, Project: true}, Connections: data.Connections(), EventStore: Quiet(), Secrets: data.Secrets,
		})
		if err != nil {
			b.Fatal(err)
		}
		defer func() {
			if err := s.close(b.Context()); err != nil {
				b.Error(err)
			}
		}()
		server := httptest.NewServer(s.api)
		defer server.Close()
		secret, err := ReadSecret(data.TokenSecretFile())
		if err != nil {
			b.Fatal(err)
		}
		token, err := auth.Mint(secret, auth.Claims{Subject: "webshop", Role: auth.RoleChannel, Channel: domain.Website}, time.Hour, time.Now())
		if err != nil {
			b.Fatal(err)
		}
		rate := postOrders(b, server.URL, token)
		b.ReportMetric(rate/empty, "of-empty")
	})
}

// postOrders posts b.N orders and returns how many were acknowledged in a second.
func postOrders(b *testing.B, base, token string) float64 {
	transport := &http.Transport{MaxIdleConnsPerHost: benchClients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var n atomic.Int64
	b.SetParallelism(max(1, benchClients/runtime.GOMAXPROCS(0)))
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			body := fmt.Sprintf(`{"ItemIds":["sku-1"],"paymentDetails":{"amount":"129.99","currency":"GBP","method":"card"},"customerId":"c-%d"}`, i%10_000)
			request, err := http.NewRequest(http.MethodPost, fmt.Sprintf("%s/order/o-%d", base, i), bytes.NewBufferString(body))
			if err != nil {
				b.Error(err)
				return
			}
			request.Header.Set("Authorization", "Bearer "+token)
			request.Header.Set("Content-Type", "application/json")
			response, err := client.Do(request)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
			if response.StatusCode != http.StatusCreated {
				b.Errorf("order %d: %s", i, response.Status)
				return
			}
		}
	})
	rate := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate, "orders/s")
	return rate
}
