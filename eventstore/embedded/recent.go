package embedded

// recent is a cache that keeps at least the last limit keys used, and at most twice as many. It has a young and an old generation: when the
// young one is full, it becomes the old one, and keys of the old one that were not used since are dropped. It is not safe for concurrent
// use.
type recent[K comparable, V any] struct {
	limit      int
	young, old map[K]V
}

func newRecent[K comparable, V any](limit int) *recent[K, V] {
	return &recent[K, V]{limit: limit, young: make(map[K]V)}
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

func (r *recent[K, V]) put(k K, v V) {
	if len(r.young) >= r.limit {
		if _, ok := r.young[k]; !ok {
			r.old, r.young = r.young, make(map[K]V, r.limit)
		}
	}
	r.young[k] = v
}
