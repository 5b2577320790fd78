package redisurl_test

import (
	"slices"
	"strings"
	"testing"

	"loyalty/internal/redisurl"
)

func TestAnAddressSaysWhereAndHow(t *testing.T) {
	a, err := redisurl.Parse("rediss+sentinel://u:p%40ss@a,b:2/shop/1?sentinel_username=su&sentinel_password=sp&pool_size=4&board=ie&empty=", "board", "prefix", "empty")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a.Hosts, []string{"a:26379", "b:2"}) || a.Master != "shop" || a.Cluster || a.SentinelUsername != "su" || a.SentinelPassword != "sp" {
		t.Errorf("got %+v", a)
	}
	if o := a.Options; o.Username != "u" || o.Password != "p@ss" || o.DB != 1 || o.TLSConfig == nil || o.PoolSize != 4 {
		t.Errorf("got %+v", o)
	}
	if board, prefix, empty := a.Own("board", "main"), a.Own("prefix", "loyalty."), a.Own("empty", "usual"); board != "ie" || prefix != "loyalty." || empty != "" {
		t.Errorf("got %q, %q and %q", board, prefix, empty)
	}
}

func TestAParameterThatIsNobodysIsRefused(t *testing.T) {
	if _, err := redisurl.Parse("redis://h?board=uk"); err == nil {
		t.Error("accepted")
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"redis://:hunter2@localhost:7000/3?board=uk", "rediss+cluster://u:hunter2@a:1,[::1]:2", "redis+sentinel://a,b:2/shop/1", "redis://:hunter2%zz@h"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := redisurl.Parse(text, "board")
		if err == nil && (len(a.Hosts) == 0 || a.Options == nil) {
			t.Errorf("%q: got %+v", text, a)
		}
		if err != nil && strings.Contains(text, ":hunter2@") && strings.Contains(err.Error(), "hunter2") && strings.Count(text, "hunter2") == 1 {
			t.Errorf("%q: the error tells the password: %v", text, err)
		}
	})
}
