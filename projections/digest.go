package projections

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"

	"loyalty/domain"
	"loyalty/readmodels/ledger"
)

// Digest is a hash of a set of rows, independent of their order: the sum of the rows' SHA-256 hashes as 256-bit numbers modulo 2^256 (AdHash of
// Bellare and Micciancio, 1997). It finds drift and differences between rebuilds. It is not secure against rows made to collide.
type Digest [sha256.Size]byte

// String is the digest in hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText is String.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText parses what String returns.
func (d *Digest) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(d) {
		return fmt.Errorf("a digest has %d digits, not %d", hex.EncodedLen(len(d)), len(text))
	}
	_, err := hex.Decode(d[:], text)
	return err
}

// Digester computes the Digest of rows added in any order. The zero Digester has no rows. It is not safe for concurrent use.
type Digester struct {
	sum [4]uint64 // the least significant first
	row []byte
}

func (d *Digester) add(row []byte) {
	hash := sha256.Sum256(row)
	var carry uint64
	for i := range d.sum {
		d.sum[i], carry = bits.Add64(d.sum[i], binary.LittleEndian.Uint64(hash[8*i:]), carry)
	}
}

// Digest is the digest of the rows added so far.
func (d *Digester) Digest() (digest Digest) {
	for i, part := range d.sum {
		binary.LittleEndian.PutUint64(digest[8*i:], part)
	}
	return digest
}

// AddAccount adds a row of a ledger.
func (d *Digester) AddAccount(a ledger.Account) {
	d.row = append(d.row[:0], a.Customer...)
	d.row = append(d.row, 0)
	d.row = binary.BigEndian.AppendUint64(d.row, uint64(a.Points))
	d.row = binary.BigEndian.AppendUint64(d.row, uint64(a.ReachedAt.UnixMicro()))
	d.row = binary.BigEndian.AppendUint64(d.row, uint64(a.Entries))
	if a.Forgotten {
		d.row = append(d.row, 1) // a longer row than that of the same customer not forgotten
	}
	d.add(d.row)
}

// AddStanding adds a row of a leaderboard.
func (d *Digester) AddStanding(key domain.ProxyKey, points domain.Points, minute int64) {
	d.row = append(d.row[:0], key[:]...)
	d.row = binary.BigEndian.AppendUint64(d.row, uint64(points))
	d.row = binary.BigEndian.AppendUint64(d.row, uint64(minute))
	d.add(d.row)
}
