package embedded

// recent is a cache that keeps at least the keys used last, up to a limit of their cost. It has a young and an old generation: when the young
// one costs as much as the limit, age makes it the old one, and keys of the old one that were not used since are dropped. It is not safe for
// concurrent use.
type recent[K comparable, V any] struct {
	limit      int
	cost       func(K) int
	spent      int // the cost of the young generation
	young, old map[K]V
}

func newRecent[K comparable, V any](limit int, cost func(K) int) *recent[K, V] {
	return &recent[K, V]{limit: limit, cost: cost, young: make(map[K]V)}
}

func (r *recent[K, V]) get(k K) (V, bool) {
	if v, ok := r.young[k]; ok {
		return v, true
	}
	v, ok := r.old[k]
	if ok {
		r.put(k, v)
	}
	return v, ok
}

// put drops no other key.
func (r *recent[K, V]) put(k K, v V) {
	before := len(r.young)
	r.young[k] = v
	if len(r.young) > before {
		r.spent += r.cost(k)
	}
}

// age drops keys if the limit is reached.
func (r *recent[K, V]) age() {
	if r.spent >= r.limit {
		r.old, r.young, r.spent = r.young, make(map[K]V, len(r.young)), 0
	}
}
