package redis

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"loyalty/domain"
)

func TestAnAddressNamesServersAndBoard(t *testing.T) {
	for _, c := range []struct {
		text           string
		addrs          []string
		master, board  string
		database       int
		cluster, tls   bool
		user, password string
	}{
		{text: "redis://localhost", addrs: []string{"localhost:6379"}, board: "main"},
		{text: "redis://localhost:7000/3?board=uk", addrs: []string{"localhost:7000"}, board: "uk", database: 3},
		{text: "rediss://u:p%40ss@cache.example:1/?board=a.b-c_9", addrs: []string{"cache.example:1"}, board: "a.b-c_9", tls: true, user: "u", password: "p@ss"},
		{text: "redis://[::1]:7000", addrs: []string{"[::1]:7000"}, board: "main"},
		{text: "redis://[::1]", addrs: []string{"[::1]:6379"}, board: "main"},
		{text: "redis+cluster://a:1,b:2,c?board=ie", addrs: []string{"a:1", "b:2", "c:6379"}, board: "ie", cluster: true},
		{text: "redis+cluster://:secret@a", addrs: []string{"a:6379"}, board: "main", cluster: true, password: "secret"},
		{text: "rediss+sentinel://u:s@a,b:2/shop/1?board=ie", addrs: []string{"a:26379", "b:2"}, master: "shop", board: "ie", database: 1, tls: true, user: "u", password: "s"},
		{text: "redis+sentinel://a/shop", addrs: []string{"a:26379"}, master: "shop", board: "main"},
	} {
		a, err := parseAddress(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		o := a.options
		if !slices.Equal(o.Addrs, c.addrs) || o.MasterName != c.master || a.board != c.board || o.DB != c.database ||
			o.IsClusterMode != c.cluster || (o.TLSConfig != nil) != c.tls || o.Username != c.user || o.Password != c.password {
			t.Errorf("%s: got %+v", c.text, a)
		}
	}
}

func TestAnAddressMayTuneTheClient(t *testing.T) {
	a, err := parseAddress("redis+sentinel://h/shop?read_timeout=7s&pool_size=4&sentinel_username=su&sentinel_password=sp")
	if err != nil {
		t.Fatal(err)
	}
	if o := a.options; o.ReadTimeout != 7*time.Second || o.PoolSize != 4 || o.SentinelUsername != "su" || o.SentinelPassword != "sp" {
		t.Errorf("got %+v", o)
	}
}

func TestAMalformedAddressIsRefusedWithoutRepeatingIt(t *testing.T) {
	for _, text := range []string{
		"", "localhost:6379", "http://hunter2@localhost", "redis+ring://:hunter2@a,b", "redis://", "redis://:hunter2@", "redis://a,b",
		"redis+cluster://:hunter2@a,,b", "redis+cluster://a/1", "redis+sentinel://:hunter2@a,b", "redis+sentinel://a/shop/x",
		"redis://:hunter2@h/x", "redis://h?board=a%7Db", "redis://h?board=" + strings.Repeat("a", 65), "redis://:hunter2%zz@h", "redis://h?unknown=1", "redis://:hunter2@h:99999999999x",
	} {
		_, err := parseAddress(text)
		if !errors.Is(err, domain.ErrInvalid) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got error %v", text, err)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, text := range []string{"redis://localhost:7000/3?board=uk", "rediss+cluster://u:p@a:1,[::1]:2?board=ie", "redis+sentinel://a,b:2/shop/1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parseAddress(text)
		if err != nil && !errors.Is(err, domain.ErrInvalid) {
			t.Errorf("got error %v", err)
		}
		if err == nil && (len(a.options.Addrs) == 0 || !boardName.MatchString(a.board)) {
			t.Errorf("got %+v", a)
		}
	})
}
