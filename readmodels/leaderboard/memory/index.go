package memory

import (
	"hash/maphash"
	"slices"

	"loyalty/domain"
)

const (
	pageBuckets = 64
	bucketSize  = 12
	// pageLimit is how many customers a page holds before it splits, 85 % of its room.
	pageLimit = pageBuckets * bucketSize * 85 / 100
	// pageMost leaves one place free in a page, at which a search ends.
	pageMost = pageBuckets*bucketSize - 1
	// pageTarget is how many a page gets at most, on average, from a Load. It is so far from pageMost that no page
	// reaches that by chance.
	pageTarget = 600
)

// bucket is one cache line. For each of up to 12 customers it holds the leaf where they are and 8 bits of their hash, so
// that nearly every leaf that is looked into is the right one. It doesn't say which customer it is: two of them with the
// same 8 bits in the same leaf are interchangeable. The place of somebody who has left leads to no leaf.
type bucket struct {
	leaves [bucketSize]uint32
	tags   [bucketSize]uint8
	n      uint32
}

type page [pageBuckets]bucket

// index finds the leaf that a customer is in by their key. It is an extendible hash table: a directory leads from the
// first bits of the hash to a page, and a page that is full is split in two, so that growing never stops for more than
// one page. A customer goes into the first bucket with room, from their own on; as nobody's place is ever given to another,
// the first bucket with room also ends a search. Who has left takes up a place until the page is split. The seed makes the hashes of distinct keys as good as random.
type index struct {
	leaves    *arena[leaf]
	seed      maphash.Seed
	pages     arena[page]
	fills     []pageFill // of each page
	directory []uint32   // of pages, by the first depth bits of the hash
	depth     uint8
}

type pageFill struct {
	places uint16 // taken
	depth  uint8  // how many first bits the hashes in the page share
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

// pageOf is the page for a hash. With no bits to go by the shift is by 64, which gives zero.
func (x *index) pageOf(hash uint64) uint32 { return x.directory[hash>>(64-x.depth)] }

func bucketOf(hash uint64) uint64 { return hash % pageBuckets }
func tagOf(hash uint64) uint8     { return uint8(hash / pageBuckets) }

// find returns where the customer with this key is.
func (x *index) find(key *domain.ProxyKey) (s spot, found bool) {
	head, tail := halves(key)
	hash := maphash.Bytes(x.seed, key[:])
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

// move notes that a customer got from one leaf into another, or has left where that is none.
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

// reserve makes sure that there is room for one more customer with this hash. All leaves and the index must agree.
func (x *index) reserve(hash uint64) {
	for x.fills[x.pageOf(hash)].places >= pageLimit {
		x.split(hash)
	}
}

// put notes in which leaf a new customer is.
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

// split parts the page for a hash in two by the next bit of the hashes in it, for which it looks into the leaves.
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
			break // it is the last
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
	span := len(x.directory) >> depth // how much of the directory leads to the page
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
