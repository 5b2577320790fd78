package orders

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"loyalty/api/bodytest"
	"loyalty/commands"
	"loyalty/domain"
	"loyalty/internal/strictjson"
)

// readLines is what lines gives of a text: the lines, nil for one that is too long.
func readLines(t testing.TB, from io.Reader) (all [][]byte) {
	t.Helper()
	for l := newLines(from); ; {
		line, err := l.next()
		switch {
		case err == nil:
			all = append(all, append([]byte{}, line...))
		case errors.Is(err, strictjson.ErrTooLarge):
			all = append(all, nil)
		case err == io.EOF:
			return all
		default:
			t.Fatal(err)
		}
	}
}

// splitLines is what it should give.
func splitLines(text []byte) (all [][]byte) {
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSuffix(line, []byte("\n")); len(line) > strictjson.MaxBytes {
			line = nil
		}
		all = append(all, line)
	}
	return all
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("a\n\nb"), 0, uint16(0))
	f.Add([]byte("a\n\nb\n"), 1, uint16(65535))
	f.Add([]byte(`{"orderId": "o-1", "ItemIds": ["a"], "paymentDetails": {"amount": 1, "currency": "GBP"}, "customerId": "ann"}`+"\n"), 3, uint16(1))
	f.Fuzz(func(t *testing.T, text []byte, at int, more uint16) {
		// A line about as long as may be, somewhere.
		at = min(max(at, 0), len(text))
		text = append(append(bytes.Clone(text[:at]), bytes.Repeat([]byte("x"), strictjson.MaxBytes-1<<15+int(more))...), text[at:]...)
		want := splitLines(text)
		for _, from := range []io.Reader{bytes.NewReader(text), iotest.HalfReader(bytes.NewReader(text)), iotest.DataErrReader(bytes.NewReader(text))} {
			got := readLines(t, from)
			if len(got) != len(want) {
				t.Fatalf("%d lines, want %d", len(got), len(want))
			}
			for i := range got {
				if (got[i] == nil) != (want[i] == nil) || !bytes.Equal(got[i], want[i]) {
					t.Fatalf("line %d is %.80q, want %.80q", i, got[i], want[i])
				}
			}
		}
	})
}

func FuzzDecodeLine(f *testing.F) {
	f.Add([]byte(`{"orderId": "o-1", "ItemIds": ["sku-1"], "paymentDetails": {"amount": "129.99", "currency": "GBP", "method": "card"}, "customerId": "ann"}`))
	f.Add([]byte(`{"orderId": 7, "ItemIds": [], "paymentDetails": {"amount": 1e400, "currency": null}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		got, err := decodeLine(line, channelOfTests)
		if err != nil {
			bodytest.Invalid(t, line, err)
			if got.Order != "" {
				if _, bad := domain.ParseID[domain.OrderID]("orderId", string(got.Order)); bad != nil {
					t.Fatalf("%q is answered as order %q", line, got.Order)
				}
			}
			return
		}
		bodytest.ReadsAlike(t, got, map[string]any{
			"orderId": got.Order, "ItemIds": got.Items, "customerId": got.Customer,
			"paymentDetails": map[string]any{
				"amount": domain.FormatMinor(got.Paid.Minor), "currency": got.Paid.Currency, "method": got.Method,
			},
		}, func(line []byte) (commands.PlaceOrder, error) { return decodeLine(line, channelOfTests) })
	})
}

func TestALineThatEndsBeforeItsTimeIsNotALine(t *testing.T) {
	for _, text := range []string{"", "{}", strings.Repeat("x", strictjson.MaxBytes+5)} {
		l := newLines(io.MultiReader(strings.NewReader("first\n"+text), iotest.ErrReader(io.ErrUnexpectedEOF)))
		if line, err := l.next(); err != nil || string(line) != "first" {
			t.Errorf("got %q, %v", line, err)
		}
		if line, err := l.next(); err != io.ErrUnexpectedEOF {
			t.Errorf("got %q, %v", line, err)
		}
	}
}
