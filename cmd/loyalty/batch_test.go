package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"loyalty/api/auth"
	"loyalty/domain"
	"loyalty/internal/app"
)

// batchOrders is how many orders the batch of these tests has.
const batchOrders = 100_000

// batchOf sends a batch of n orders while it reads the answer, and calls answered for each line of that.
func (p *process) batchOf(t testing.TB, secret []byte, prefix string, n int, answered func(line []byte)) {
	t.Helper()
	token, err := auth.Mint(secret, auth.Claims{Subject: "till-1", Role: auth.RoleChannel, Channel: domain.Store}, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	body, to := io.Pipe()
	go func() {
		lines := bufio.NewWriterSize(to, 16<<10)
		for i := range n {
			// If the server hangs up, the answer tells.
			_, _ = fmt.Fprintf(lines, `{"orderId": "%s-%d", "ItemIds": ["sku-1", "sku-2"], "paymentDetails": {"amount": "129.99", "currency": "GBP", "method": "card"}, "customerId": "c-%d"}`+"\n",
				prefix, i, i%1000)
		}
		to.CloseWithError(lines.Flush())
	}()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.base+"/orders", body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/x-ndjson")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("answered with %s", response.Status)
	}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		answered(lines.Bytes())
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

// resident is the memory of the process that is resident, in bytes.
func (p *process) resident(t testing.TB) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kB, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kB << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// Given the real program taking commands, with the stores in another process, whose caches fill up with orders however they come
// When it gets 100,000 orders in one request
// Then each is answered in its order, and the memory of the process grows by less than 64 MiB; and the same batch again, sent to
// the other process, is answered with what was answered the first time.
func TestABatchOfManyOrdersTakesLittleMemory(t *testing.T) {
	data := t.TempDir()
	everything := startDev(t, data, "--log-level", "warn")
	secret, err := app.ReadSecret(app.Folder(data).TokenSecretFile())
	if err != nil {
		t.Fatal(err)
	}
	at := app.Folder(data).Connections()
	commands := start(t, []string{"LOYALTY_TOKEN_SECRET=" + siteTokenSecret, "LOYALTY_PROXY_SECRET=" + siteProxySecret},
		"serve", "--roles", "command", "--addr", "127.0.0.1:0", "--log-level", "warn",
		"--eventstore", at.Eventstore, "--ledger", at.Ledger, "--leaderboard", at.Leaderboard)
	send := func(p *process, secret []byte, prefix, want string, n int) (positions []string, most int64) {
		answered, begun := 0, time.Now()
		p.batchOf(t, secret, prefix, n, func(line []byte) {
			var a struct {
				Line                      int
				OrderID, Status, Position string
				Points                    int
			}
			if err := json.Unmarshal(line, &a); err != nil {
				t.Fatal(err)
			}
			if a.Line != answered+1 || a.OrderID != fmt.Sprintf("%s-%d", prefix, answered) || a.Status != want || a.Points != 13 {
				t.Fatalf("line %d is answered with %s", answered+1, line)
			}
			if answered++; answered%1000 == 0 {
				most = max(most, p.resident(t))
			}
			positions = append(positions, a.Position)
		})
		if answered != n {
			t.Fatalf("%d lines have %d answers", n, answered)
		}
		t.Logf("%d orders %s, %.0f a second, at most %d MiB resident", n, want, float64(n)/time.Since(begun).Seconds(), most>>20)
		return positions, most
	}
	n, token := batchOrders, []byte(siteTokenSecret)
	send(commands, token, "before", "placed", 1000)
	before := commands.resident(t)
	first, most := send(commands, token, "measured", "placed", n)
	t.Logf("%d MiB before, at most %d MiB meanwhile", before>>20, most>>20)
	if grown := most - before; grown >= 64<<20 {
		t.Errorf("the memory grew by %d MiB", grown>>20)
	}
	again, _ := send(everything, secret, "measured", "replayed", n)
	if !slices.Equal(again, first) {
		t.Error("the same batch again is answered with other positions")
	}
}
