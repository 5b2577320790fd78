package redisurl_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

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

// Each is a password that would be parted at the wrong place if it stood in an address as it is.
func TestAPasswordThatIsNotEscapedIsRefusedWithWhatToWrite(t *testing.T) {
	for _, password := range []string{
		"hunter2/xyz", "hunter2#xyz", "hunter2?xyz", "1234/hunter2", "1234?hunter2", "1234#hunter2", "1234/hunter2@xyz", "hunter2@xyz", "@hunter2", "hunter2@", "hunter2:xyz", ":hunter2",
		"hunter2%", "hunter2%zz", "hunter2 xyz", "hunter2\"xyz", "hünter2hunter2",
	} {
		for _, form := range []string{"redis://:%s@h:7", "rediss://app:%s@h:7/3", "redis+cluster://app:%s@h:7,i:8", "redis+sentinel://app:%s@h:7,i:8/m", "redis://app:%s@h?board=x"} {
			_, err := redisurl.Parse(fmt.Sprintf(form, password), "board")
			if err == nil || !strings.Contains(err.Error(), "%2F for /") {
				t.Errorf(form+": got error %v", password, err)
			} else if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "1234") || strings.Contains(err.Error(), "xyz") {
				t.Errorf(form+": the error tells of the password: %v", password, err)
			}
		}
	}
}

// What follows the hosts is not repeated either: it may be the rest of a password.
func TestAnErrorRepeatsNothingOfTheAddress(t *testing.T) {
	for _, text := range []string{
		"redis://h/hunter2", "redis://h?hunter2=1", "redis://h?hunter2", "redis://h?sentinel_password=a&hunter2", "redis://h?read_timeout=hunter2", "redis://h?db=hunter2", "redis://h:hunter2/", "redis://hunter2:hunter2",
		"redis://h?sentinel_password=%hunter2", "redis+sentinel://h/m/hunter2", "hunter2://h", "redis+hunter2://h",
	} {
		if _, err := redisurl.Parse(text); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got error %v", text, err)
		}
	}
}

func TestEveryPasswordCanBeWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		user := string(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "user"))
		password := string(rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "password"))
		for _, form := range []string{"redis://%s@h:7/3", "rediss://%s@h", "redis+cluster://%s@h:7,i:8", "rediss+sentinel://%s@h:7,i:8/m/1?sentinel_password=%s"} {
			text := fmt.Sprintf(strings.Replace(form, "=%s", "="+strings.ReplaceAll(url.QueryEscape(password), "%", "%%"), 1), url.UserPassword(user, password))
			a, err := redisurl.Parse(text)
			if err != nil || a.Options.Username != user || a.Options.Password != password || !strings.HasPrefix(a.Hosts[0], "h:") {
				t.Fatalf("%s: got %+v, %v", text, a, err)
			}
			if strings.Contains(form, "sentinel") && a.SentinelPassword != password {
				t.Fatalf("%s: the sentinels' password is %q", text, a.SentinelPassword)
			}
		}
	})
}

func TestEachServerIsVerifiedByTheNameItIsDialledBy(t *testing.T) {
	for _, text := range []string{"rediss://h", "rediss+cluster://h,i", "rediss+sentinel://h,i/m"} {
		if a, err := redisurl.Parse(text); err != nil || a.Options.TLSConfig == nil || a.Options.TLSConfig.ServerName != "" || a.Options.TLSConfig.InsecureSkipVerify {
			t.Errorf("%s: got %+v, %v", text, a.Options, err)
		}
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
	})
}

// A password as it is, in each place of an address: it is used whole and as it is meant, or refused without a word of it.
func FuzzAPasswordIsUsedWholeOrNotAtAll(f *testing.F) {
	for _, password := range []string{"hunter2", "1234/hunter2", "1234?hunter2=3", "1234#hunter2", "hun%41ter", "a@h:6379,i", "read_timeout=hunter2"} {
		f.Add(password)
	}
	f.Fuzz(func(t *testing.T, password string) {
		if len(password) < 4 {
			return
		}
		for _, form := range []string{"redis://:%s@h:7", "redis://app:%s@h:7/3", "redis+cluster://app:%s@h:7", "redis+sentinel://app:%s@h:7/m"} {
			a, err := redisurl.Parse(fmt.Sprintf(form, password), "board")
			if err != nil {
				if says := err.Error(); strings.Contains(says, password) && !strings.Contains(always, password) {
					t.Errorf(form+": the error tells the password: %v", password, err)
				}
				continue
			}
			meant, unescaped := url.PathUnescape(password)
			if unescaped != nil || a.Options.Password != meant || !slices.Equal(a.Hosts, []string{"h:7"}) {
				t.Errorf(form+": got %+v", password, a)
			}
		}
	})
}

// always is what errors say whatever the address is.
var always = func() string {
	var all strings.Builder
	for _, text := range []string{"", "redis://", "redis://:@@h", "redis://h/x", "redis://h?x=1", "redis+sentinel://h", "redis+cluster://h/1", "redis://h?pool_size=x"} {
		_, err := redisurl.Parse(text, "board")
		fmt.Fprintln(&all, err)
	}
	return all.String()
}()
