package query

import (
	"bytes"
	"container/heap"
	"slices"
)

// entry is a result, or a group, with what sorts it.
type entry struct {
	key   []byte
	first int // how long the part of ORDER BY's first key is
	json  []byte
	group *group
}

func (e *entry) size() int {
	n := groupSize + len(e.key) + len(e.json)
	if e.group != nil {
		n += e.group.size
	}
	return n
}

// smallest keeps the entries with the smallest keys, as many as asked for and
// as memory allows. What it let go of, and everything behind that, it takes no
// more, so that what it has is always the beginning of all there is.
type smallest struct {
	entries []*entry // a heap, the largest first
	known   map[string]*entry
	most    int // how many entries
	memory  int // in bytes
	size    int
	// end is the smallest key that was let go of, nil if none was.
	end []byte
}

func (s *smallest) Len() int           { return len(s.entries) }
func (s *smallest) Less(i, j int) bool { return bytes.Compare(s.entries[i].key, s.entries[j].key) > 0 }
func (s *smallest) Swap(i, j int)      { s.entries[i], s.entries[j] = s.entries[j], s.entries[i] }

// Push is for package heap.
func (s *smallest) Push(x any) { s.entries = append(s.entries, x.(*entry)) }

// Pop is for package heap.
func (s *smallest) Pop() any {
	last := s.entries[len(s.entries)-1]
	s.entries = s.entries[:len(s.entries)-1]
	return last
}

// wants tells whether an entry with this key would be kept.
func (s *smallest) wants(key []byte) bool {
	return s.end == nil || bytes.Compare(key, s.end) < 0
}

// put takes an entry in that it wants.
func (s *smallest) put(e *entry) {
	heap.Push(s, e)
	if s.known != nil {
		s.known[string(e.key)] = e
		s.size += len(e.key)
	}
	s.grow(e.size())
}

// grow counts memory that an entry took, and lets go of the largest ones if
// there is too much. One is kept in any case.
func (s *smallest) grow(bytes int) {
	s.size += bytes
	for len(s.entries) > s.most || s.size > s.memory && len(s.entries) > 1 {
		last := heap.Pop(s).(*entry)
		s.size -= last.size()
		if s.known != nil {
			delete(s.known, string(last.key))
			s.size -= len(last.key)
		}
		s.end = last.key
	}
}

// sorted are the entries in order.
func (s *smallest) sorted() []*entry {
	slices.SortFunc(s.entries, func(a, b *entry) int { return bytes.Compare(a.key, b.key) })
	return s.entries
}
