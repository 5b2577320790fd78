package domain

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
	"sync"
)

// ProxyKey identifies a customer where others can see it. It is the first 16 bytes of HMAC-SHA256(secret, customer id): without the secret,
// nobody can tell whose it is, not even by hashing every id.
type ProxyKey [16]byte

// Compare orders keys by their bytes: -1, 0 or 1.
func (k ProxyKey) Compare(other ProxyKey) int { return bytes.Compare(k[:], other[:]) }

// String is the key in hexadecimal.
func (k ProxyKey) String() string { return hex.EncodeToString(k[:]) }

// Name is the proxy name of the key, such as "Amber Otter 482913". It depends on the key alone. There are 65 billion names, so that two
// customers may share one.
func (k ProxyKey) Name() string { return string(k.AppendName(nil)) }

// AppendName appends Name to b. It doesn't allocate if b has capacity for 32 more bytes.
func (k ProxyKey) AppendName(b []byte) []byte {
	b = append(b, adjectives[k[0]]...)
	b = append(b, ' ')
	b = append(b, animals[k[1]]...)
	b = append(b, ' ')
	number := binary.BigEndian.Uint64(k[2:10]) % 1_000_000
	for unit := uint64(100_000); unit > 0; unit /= 10 {
		b = append(b, byte('0'+number/unit%10))
	}
	return b
}

// ParseProxyName normalizes the case and spacing of a text in the form of a proxy name: two words and six digits. It returns false for any
// other text. It does not check that a customer has the name.
func ParseProxyName(text string) (string, bool) {
	parts := strings.Fields(text)
	if len(parts) != 3 || len(parts[2]) != 6 || strings.Trim(parts[2], "0123456789") != "" {
		return "", false
	}
	for i, word := range parts[:2] {
		if strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") != "" {
			return "", false
		}
		parts[i] = strings.ToUpper(word[:1]) + strings.ToLower(word[1:])
	}
	return strings.Join(parts, " "), true
}

// MinProxySecret is the shortest secret accepted, in bytes.
const MinProxySecret = 16

// Proxies derives proxy keys from customer ids with one secret. Make it with NewProxies. It is safe for concurrent use.
type Proxies struct {
	macs        *sync.Pool
	fingerprint string
}

// proxyMAC has reusable buffers: passed through the hash.Hash interface, local ones would be allocated at every call.
type proxyMAC struct {
	hash.Hash
	in, out []byte
}

// NewProxies makes Proxies with a secret. A secret shorter than MinProxySecret bytes is ErrInvalid.
func NewProxies(secret []byte) (Proxies, error) {
	if len(secret) < MinProxySecret {
		return Proxies{}, Invalid("proxySecret", "secret_too_short", fmt.Sprintf("the proxy secret needs at least %d bytes", MinProxySecret))
	}
	p := newProxies(bytes.Clone(secret))
	p.fingerprint = hex.EncodeToString(p.sum("names:1")[:16])
	return p, nil
}

func newProxies(secret []byte) Proxies {
	return Proxies{macs: &sync.Pool{New: func() any { return &proxyMAC{Hash: hmac.New(sha256.New, secret)} }}}
}

// Fingerprint tells secrets apart and does not give them away: the first 16 bytes of HMAC-SHA256 of a constant, in hexadecimal. That of a
// season's Proxies is that of the secret they come from. It is empty for the zero Proxies.
func (p Proxies) Fingerprint() string { return p.fingerprint }

// sum is HMAC-SHA256 of a text. No customer id contains a colon, so that a text with one gives no customer's key.
func (p Proxies) sum(text string) []byte {
	mac := p.macs.Get().(*proxyMAC)
	defer p.macs.Put(mac)
	mac.Reset()
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// Key is the proxy key of a customer. Once its pool is filled, it doesn't allocate.
func (p Proxies) Key(customer CustomerID) ProxyKey {
	mac := p.macs.Get().(*proxyMAC)
	defer p.macs.Put(mac)
	mac.Reset()
	mac.in = append(mac.in[:0], customer...)
	mac.Write(mac.in)
	mac.out = mac.Sum(mac.out[:0])
	return ProxyKey(mac.out[:len(ProxyKey{})])
}

// ForSeason makes the Proxies of a season. Without the secret, its keys can't be linked with those of another season or of all time. Their
// secret is HMAC-SHA256(secret, "season:" + id).
func (p Proxies) ForSeason(id string) Proxies {
	season := newProxies(p.sum("season:" + id))
	season.fingerprint = p.fingerprint
	return season
}
