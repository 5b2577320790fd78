package redis_test

import (
	"testing"
	"unicode/utf8"

	"loyalty/bus/redis"
)

func FuzzAnEntryAlwaysBecomesAMessage(f *testing.F) {
	f.Add("_watermill_message_uuid", "u", "metadata", "\x81\xa4name\xaeplace-order.v1", "payload", "{}")
	f.Add("id", "1", "name", "place-order.v1", "payload", "{}")
	f.Add("", "", "", "", "", "")
	f.Add("_watermill_message_uuid", "", "metadata", "\xdf\xff\xff\xff\xff", "payload", "x")
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2, k3, v3 string) {
		m, err := redis.ReadEntry(map[string]any{k1: v1, k2: v2, k3: v3})
		if err != nil || m == nil {
			t.Fatalf("got %v, %v", m, err)
		}
		if m.Metadata == nil {
			t.Fatal("no metadata")
		}
	})
}

func FuzzAnAddressIsReadOrInvalid(f *testing.F) {
	f.Add("redis://localhost:6379/0?prefix=a.")
	f.Add("rediss://u:p@[::1]:1?from=start")
	f.Fuzz(func(t *testing.T, text string) {
		if err := redis.ParseAddress(text); err != nil && utf8.ValidString(text) && err.Error() == "" {
			t.Fatal("an error without a word")
		}
	})
}
