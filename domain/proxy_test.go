package domain_test

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"loyalty/domain"

	"pgregory.net/rapid"
)

func newProxies(t testing.TB, secret string) domain.Proxies {
	t.Helper()
	proxies, err := domain.NewProxies([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return proxies
}

// The keys are those of: printf %s CUSTOMER | openssl dgst -sha256 -hmac SECRET. The names follow from them by hand.
func TestProxies_Key_is_the_first_half_of_HMAC_SHA256(t *testing.T) {
	for _, c := range []struct {
		secret   string
		customer domain.CustomerID
		key      string
		name     string
	}{
		{"0123456789abcdef", "c-1", "ce48f85868297488391aa7a5ea09d744", "Sprightly Flamingo 698266"},
		{"0123456789abcdef0123456789abcdef", "customer-42", "8b76424e838d9ffc7a9864bf74479cec", "Majestic Kinglet 426136"},
		{"a secret of the dev data folder", "c-1", "9a5eace1688b7d657efc23a105ec11ab", "Musical Hamster 049084"},
	} {
		proxies := newProxies(t, c.secret)
		for range 2 { // a used hash is used again
			if got := proxies.Key(c.customer); got.String() != c.key || got.Name() != c.name {
				t.Errorf("%s under %q is %s, %s; want %s, %s", c.customer, c.secret, got, got.Name(), c.key, c.name)
			}
		}
	}
}

func TestNewProxies_refuses_a_short_secret(t *testing.T) {
	for _, secret := range []string{"", "0123456789abcde"} {
		_, err := domain.NewProxies([]byte(secret))
		wantRefusals(t, err, "proxySecret secret_too_short")
	}
}

func TestNewProxies_keeps_a_copy_of_the_secret(t *testing.T) {
	secret := []byte("0123456789abcdef")
	proxies, err := domain.NewProxies(secret)
	if err != nil {
		t.Fatal(err)
	}
	clear(secret)
	if got, want := proxies.Key("c-1"), newProxies(t, "0123456789abcdef").Key("c-1"); got != want {
		t.Errorf("the key changed with the caller's bytes: %s, want %s", got, want)
	}
}

func TestProxies_Key_differs_per_customer_and_per_secret(t *testing.T) {
	one, other := newProxies(t, "the first season's secret"), newProxies(t, "the second season's secret")
	seen := make(map[domain.ProxyKey]string)
	for i := range 5000 {
		customer := domain.CustomerID(fmt.Sprint("c-", i))
		for season, key := range map[string]domain.ProxyKey{"first": one.Key(customer), "second": other.Key(customer)} {
			if earlier, taken := seen[key]; taken {
				t.Fatalf("%s in the %s season has the key of %s", customer, season, earlier)
			}
			seen[key] = fmt.Sprint(customer, " in the ", season, " season")
		}
	}
}

func TestProxies_Fingerprint_tells_secrets_apart(t *testing.T) {
	one, other := newProxies(t, "the first shop's secret"), newProxies(t, "the second shop's secret")
	if len(one.Fingerprint()) != 32 || one.Fingerprint() == other.Fingerprint() || one.Fingerprint() != newProxies(t, "the first shop's secret").Fingerprint() {
		t.Errorf("the fingerprints are %q and %q", one.Fingerprint(), other.Fingerprint())
	}
	if got := one.ForSeason("2026-11").Fingerprint(); got != one.Fingerprint() {
		t.Errorf("that of a season is %q, and of its secret %q", got, one.Fingerprint())
	}
	if got := (domain.Proxies{}).Fingerprint(); got != "" {
		t.Errorf("that of no secret is %q", got)
	}
}

func TestProxies_Key_may_be_used_from_many_goroutines(t *testing.T) {
	const customers = 200
	proxies := newProxies(t, "0123456789abcdef")
	id := func(i int) domain.CustomerID { return domain.CustomerID(fmt.Sprint("c-", i)) }
	var want [customers]domain.ProxyKey
	for i := range want {
		want[i] = proxies.Key(id(i))
	}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for n := range customers {
				i := (n + worker*31) % customers
				if got := proxies.Key(id(i)); got != want[i] {
					t.Errorf("%s is %s beside others, %s alone", id(i), got, want[i])
				}
			}
		})
	}
	all.Wait()
}

func keyOf(adjective, animal byte, number uint64) (key domain.ProxyKey) {
	key[0], key[1] = adjective, animal
	binary.BigEndian.PutUint64(key[2:10], number)
	return key
}

func TestProxyKey_Name_is_a_function_of_its_first_ten_bytes(t *testing.T) {
	for want, key := range map[string]domain.ProxyKey{
		"Amber Otter 482913":           keyOf(6, 165, 482_913),
		"Able Aardvark 000000":         keyOf(0, 0, 0),
		"Zippy Wren 551615":            keyOf(255, 255, 1<<64-1),
		"Thoughtful Chinchilla 999999": keyOf(225, 34, 7_999_999),
		"Optimistic Butterfly 000007":  keyOf(159, 27, 1_000_007),
	} {
		for _, rest := range []byte{0, 0xff} {
			for i := 10; i < len(key); i++ {
				key[i] = rest
			}
			if got := key.Name(); got != want {
				t.Errorf("%s is %q, want %q", key, got, want)
			}
		}
	}
}

func TestProxyKey_Name_is_two_words_and_six_digits_of_at_most_32_bytes(t *testing.T) {
	shape := regexp.MustCompile(`^[A-Z][a-z]{2,9} [A-Z][a-z]{2,9} [0-9]{6}$`)
	rapid.Check(t, func(t *rapid.T) {
		key := domain.ProxyKey(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key"))
		if name := key.Name(); !shape.MatchString(name) || len(name) > 32 {
			t.Fatalf("%s is %q", key, name)
		}
		if got := string(key.AppendName([]byte("name: "))); got != "name: "+key.Name() {
			t.Fatalf("appended, %q is %q", key.Name(), got)
		}
	})
}

func TestProxyKey_AppendName_does_not_allocate_where_there_is_room(t *testing.T) {
	key, room := newProxies(t, "0123456789abcdef").Key("c-1"), make([]byte, 0, 32)
	if n := testing.AllocsPerRun(100, func() { room = key.AppendName(room[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestProxyKey_Compare_orders_by_bytes(t *testing.T) {
	for _, c := range []struct {
		a, b domain.ProxyKey
		want int
	}{
		{domain.ProxyKey{}, domain.ProxyKey{}, 0},
		{domain.ProxyKey{0x7f}, domain.ProxyKey{0x80}, -1},
		{domain.ProxyKey{15: 1}, domain.ProxyKey{}, 1},
		{domain.ProxyKey{0: 1}, domain.ProxyKey{15: 0xff}, 1},
	} {
		if got, back := c.a.Compare(c.b), c.b.Compare(c.a); got != c.want || back != -c.want {
			t.Errorf("%s against %s is %d, back %d; want %d", c.a, c.b, got, back, c.want)
		}
	}
}

func BenchmarkProxies_Key(b *testing.B) {
	proxies := newProxies(b, "0123456789abcdef")
	b.ReportAllocs()
	for b.Loop() {
		proxies.Key("customer-12345678")
	}
}

func BenchmarkProxyKey_AppendName(b *testing.B) {
	key, room := newProxies(b, "0123456789abcdef").Key("c-1"), make([]byte, 0, 32)
	b.ReportAllocs()
	for b.Loop() {
		room = key.AppendName(room[:0])
	}
}

func TestTheKeysOfASeasonAreUnlikeThoseOfAnyOther(t *testing.T) {
	proxies, err := domain.NewProxies([]byte("a secret of these tests"))
	if err != nil {
		t.Fatal(err)
	}
	// The same season gives the same keys, in whatever process.
	first, again := proxies.ForSeason("2026-11"), proxies.ForSeason("2026-11")
	if first.Key("alice") != again.Key("alice") {
		t.Error("a season has two keys for one customer")
	}
	seen := map[domain.ProxyKey]string{}
	for _, season := range []string{"", "2026-11", "2026-12", "2026"} {
		of := proxies
		if season != "" {
			of = proxies.ForSeason(season)
		}
		for _, customer := range []domain.CustomerID{"alice", "bob", "2026-11", "season"} {
			key := of.Key(customer)
			if other, taken := seen[key]; taken {
				t.Errorf("%s in season %q has the key of %s", customer, season, other)
			}
			seen[key] = string(customer) + " in " + season
		}
	}
	// Another secret has other keys.
	others, err := domain.NewProxies([]byte("another secret of these"))
	if err != nil {
		t.Fatal(err)
	}
	if others.ForSeason("2026-11").Key("alice") == proxies.ForSeason("2026-11").Key("alice") {
		t.Error("the keys of a season do not depend on the secret")
	}
}

// Every name is known for one, however it is written, and is then written as it is shown.
func TestAProxyNameIsKnownByItsForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := domain.ProxyKey(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key")).Name()
		space := rapid.SampledFrom([]string{" ", "  ", "\t", "\u00a0"}).Draw(t, "space")
		written := rapid.SampledFrom([]func(string) string{strings.ToLower, strings.ToUpper, strings.Clone}).Draw(t, "case")(name)
		if got, ok := domain.ParseProxyName(space + strings.ReplaceAll(written, " ", space)); !ok || got != name {
			t.Fatalf("%q is taken for %q, %t", written, got, ok)
		}
	})
}

func FuzzParseProxyName(f *testing.F) {
	for _, text := range []string{"Amber Otter 482913", "amber otter 48291", "Amber Otter 482913 x", "Åmber Otter 482913", "İ I 000000", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, ok := domain.ParseProxyName(text)
		if !ok {
			return
		}
		if again, ok := domain.ParseProxyName(name); !ok || again != name || !strings.EqualFold(name, strings.Join(strings.Fields(text), " ")) {
			t.Errorf("%q is taken for %q, and that for %q", text, name, again)
		}
	})
}
