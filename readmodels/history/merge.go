package history

import (
	"slices"

	"loyalty/domain"
)

// source yields entries in the order of their keys, a block at a time.
type source struct {
	// left is the rest of the block.
	left []entry
	// more returns the next block, empty at the end. It may reuse the memory of the one before.
	more func() ([]entry, error)
	// order is the source's index, the earliest first.
	order int
}

// sourceOf yields entries in memory.
func sourceOf(entries []entry) *source {
	return &source{left: entries, more: func() ([]entry, error) { return nil, nil }}
}

// merge merges successive layers into one: it yields each customer once, with the sum of their entries.
type merge struct {
	// heap is a binary heap of the sources by their next key, then by order.
	heap []*source
}

// newMerge merges sources, the earliest first.
func newMerge(sources []*source) (*merge, error) {
	m := &merge{}
	for i, s := range sources {
		s.order = i
		if len(s.left) == 0 {
			var err error
			if s.left, err = s.more(); err != nil {
				return nil, err
			}
		}
		if len(s.left) > 0 {
			m.heap = append(m.heap, s)
		}
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.sink(i)
	}
	return m, nil
}

// next returns the next customer's entry; ok is false at the end.
func (m *merge) next() (e entry, ok bool, err error) {
	if len(m.heap) == 0 {
		return e, false, nil
	}
	if e, err = m.pop(); err != nil {
		return e, false, err
	}
	for len(m.heap) > 0 && m.heap[0].left[0].same(&e) {
		later, err := m.pop()
		if err != nil {
			return e, false, err
		}
		e.sum = e.sum.plus(later.sum)
	}
	return e, true, nil
}

// pop removes the entry with the lowest key.
func (m *merge) pop() (e entry, err error) {
	top := m.heap[0]
	e = top.left[0]
	if top.left = top.left[1:]; len(top.left) == 0 {
		if top.left, err = top.more(); err != nil {
			return e, err
		}
		if len(top.left) == 0 {
			last := len(m.heap) - 1
			m.heap[0] = m.heap[last]
			m.heap = m.heap[:last]
		}
	}
	m.sink(0)
	return e, nil
}

func (m *merge) sink(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(m.heap); child++ {
			if m.heap[child].before(m.heap[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		m.heap[i], m.heap[least] = m.heap[least], m.heap[i]
		i = least
	}
}

func (s *source) before(other *source) bool {
	mine, others := &s.left[0], &other.left[0]
	return mine.precedes(others) || mine.same(others) && s.order < other.order
}

// findEntry looks a customer up among entries sorted by key.
func findEntry(entries []entry, key domain.ProxyKey) (s sum, found bool) {
	at, found := slices.BinarySearchFunc(entries, newEntry(key, sum{}), compareKeys)
	if !found {
		return s, false
	}
	return entries[at].sum, true
}
