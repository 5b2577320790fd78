package main

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"
)

// BenchmarkOrderUntilVisible is the time from posting an order to having the dashboard that shows it, over HTTP.
func BenchmarkOrderUntilVisible(b *testing.B) {
	data := b.TempDir()
	p := startDev(b, data)
	c := newClient(b, p, data)
	took := make([]time.Duration, 0, b.N)
	b.ResetTimer()
	for i := range b.N {
		began := time.Now()
		var placed placedAnswer
		var dashboard dashboardAnswer
		id := fmt.Sprintf("c-%d", i%1000)
		c.must(http.StatusCreated, &placed, webshop, http.MethodPost, fmt.Sprintf("/order/o-%d", i), orderBody(id, "129.99"))
		c.must(http.StatusOK, &dashboard, customer(id), http.MethodGet, "/loyalty/"+id, nil, "Loyalty-Min-Position: "+placed.Position)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
