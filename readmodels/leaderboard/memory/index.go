package memory

import (
	"hash/maphash"
	"slices"

	"loyalty/domain"
)

const (
	pageBuckets = 64
	bucketSize  = 12
	// pageLimit is the number of customers at which a page splits: 85 % of its places.
	pageLimit = pageBuckets * bucketSize * 85 / 100
	// pageMax leaves one place free in a page, because a search ends at a free place.
	pageMax = pageBuckets*bucketSize - 1
	// pageTarget is the greatest average number of customers in a page after a Load. It is so far below pageMax that practically no
	// page reaches that.
	pageTarget = 600
)

// bucket is one cache line. For each of up to 12 customers it holds the number of their leaf and a tag, 8 bits of their hash, so that a
// search reads few wrong leaves. It does not identify the customer: two with the same tag in the same leaf are interchangeable. The leaf
// of a customer who has left is none.
type bucket struct {
	leaves [bucketSize]uint32
	tags   [bucketSize]uint8
	n      uint32
}

type page [pageBuckets]bucket

// index finds a customer's leaf by their key. It is an extendible hash table (Fagin et al. 1979): a directory leads from the first bits of
// the hash to a page, and a full page is split in two, so that growing moves one page at a time. A customer goes into the first bucket
// with room, from the bucket of their hash on. A place is never reused, so that a search can end at the first bucket with room; the place
// of a customer who has left is taken until the page splits. The seed keeps hashes of chosen keys from colliding.
type index struct {
	leaves    *arena[leaf]
	seed      maphash.Seed
	pages     arena[page]
	fills     []pageFill // of each page
	directory []uint32   // of pages, by the first depth bits of the hash
	depth     uint8
}

type pageFill struct {
	places uint16 // number of places taken
	depth  uint8  // number of first bits that the hashes in the page share
}

func newIndex(leaves *arena[leaf], depth uint8) index {
	x := index{leaves: leaves, seed: maphash.MakeSeed(), pages: arena[page]{shift: 9}, depth: depth}
	for range 1 << depth {
		x.directory = append(x.directory, x.pages.add())
		x.fills = append(x.fills, pageFill{depth: depth})
	}
	return x
}

func (x *index) hash(e entry) uint64 {
	key := e.key()
	return maphash.Bytes(x.seed, key[:])
}

// pageOf is the page of a hash. With depth 0 the shift is by 64, which gives 0.
func (x *index) pageOf(hash uint64) uint32 { return x.directory[hash>>(64-x.depth)] }

func bucketOf(hash uint64) uint64 { return hash % pageBuckets }
func tagOf(hash uint64) uint8     { return uint8(hash / pageBuckets) }

// find returns the spot of the customer with this key.
func (x *index) find(key *domain.ProxyKey) (s spot, found bool) {
	head, tail := halves(key)
	return x.findHash(maphash.Bytes(x.seed, key[:]), head, tail)
}

func (x *index) findHash(hash, head, tail uint64) (s spot, found bool) {
	page, tag := x.pages.at(x.pageOf(hash)), tagOf(hash)
	for i := bucketOf(hash); ; i++ {
		b := &page[i%pageBuckets]
		for j, other := range b.tags[:min(b.n, bucketSize)] {
			if other != tag || b.leaves[j] == none {
				continue
			}
			if at := x.leaves.at(b.leaves[j]).find(head, tail); at >= 0 {
				return spot{b.leaves[j], at}, true
			}
		}
		if b.n < bucketSize {
			return spot{}, false
		}
	}
}

// holdsTag tells whether a search for a hash would look into a leaf.
func (x *index) holdsTag(hash uint64) bool {
	page, tag := x.pages.at(x.pageOf(hash)), tagOf(hash)
	for i := bucketOf(hash); ; i++ {
		b := &page[i%pageBuckets]
		if slices.Contains(b.tags[:min(b.n, bucketSize)], tag) {
			return true
		}
		if b.n < bucketSize {
			return false
		}
	}
}

// move records that a customer moved from one leaf to another, or has left if to is none.
func (x *index) move(e entry, from, to uint32) {
	hash := x.hash(e)
	page, tag := x.pages.at(x.pageOf(hash)), tagOf(hash)
	for i := bucketOf(hash); ; i++ {
		b := &page[i%pageBuckets]
		for j, other := range b.tags[:min(b.n, bucketSize)] {
			if other == tag && b.leaves[j] == from {
				b.leaves[j] = to
				return
			}
		}
		if b.n < bucketSize {
			panic("leaderboard: a customer is not in the index")
		}
	}
}

// reserve makes room for one more customer with this hash. The leaves and the index must agree.
func (x *index) reserve(hash uint64) {
	for x.fills[x.pageOf(hash)].places >= pageLimit {
		x.split(hash)
	}
}

// put adds a new customer. There must be room.
func (x *index) put(hash uint64, leaf uint32) {
	id := x.pageOf(hash)
	page := x.pages.at(id)
	for i := bucketOf(hash); ; i++ {
		if b := &page[i%pageBuckets]; b.n < bucketSize {
			b.leaves[b.n], b.tags[b.n] = leaf, tagOf(hash)
			b.n++
			x.fills[id].places++
			return
		}
	}
}

// split splits the page of a hash in two, by the next bit of the hashes in it. It reads the keys from the leaves.
func (x *index) split(hash uint64) {
	low := x.pageOf(hash)
	depth := x.fills[low].depth
	var leaves []uint32
	for _, b := range x.pages.at(low) {
		leaves = append(leaves, b.leaves[:b.n]...)
	}
	slices.Sort(leaves)
	var hashes []uint64
	var homes []uint32
	for _, id := range slices.Compact(leaves) {
		if id == none {
			break // none is the greatest number
		}
		for _, e := range x.leaves.at(id).all() {
			if hash := x.hash(e); x.pageOf(hash) == low {
				hashes, homes = append(hashes, hash), append(homes, id)
			}
		}
	}
	if depth == x.depth {
		x.doubleDirectory()
	}
	high := x.pages.add()
	*x.pages.at(low), x.fills[low] = page{}, pageFill{depth: depth + 1}
	x.fills = append(x.fills, pageFill{depth: depth + 1})
	span := len(x.directory) >> depth // number of entries of the directory that lead to the page
	first := int(hash>>(64-depth)) * span
	for i := first + span/2; i < first+span; i++ {
		x.directory[i] = high
	}
	for i, hash := range hashes {
		x.put(hash, homes[i])
	}
}

func (x *index) doubleDirectory() {
	doubled := make([]uint32, 2*len(x.directory))
	for i := range doubled {
		doubled[i] = x.directory[i/2]
	}
	x.directory, x.depth = doubled, x.depth+1
}
