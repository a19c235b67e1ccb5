package txlog

import "iter"

// layers is a map of which each version shares nearly everything with the one
// before: a large base that no one changes, and what changed since. A commit
// copies the changes, not the base; once they have grown, they become part of a
// new base. The zero value is empty.
type layers[V any] struct {
	base map[string]V
	// over has what is not as in base; a nil means "not there".
	over map[string]*V
	n    int
	// private is set while nobody else has the base: then it is changed in
	// place, and over is empty.
	private bool
}

// newLayers returns private layers.
func newLayers[V any]() layers[V] { return layers[V]{base: map[string]V{}, private: true} }

func (l *layers[V]) len() int { return l.n }

func (l *layers[V]) get(key string) (v V, ok bool) {
	if p, ok := l.over[key]; ok {
		if p == nil {
			return v, false
		}
		return *p, true
	}
	v, ok = l.base[key]
	return v, ok
}

// all yields the entries in no particular order.
func (l *layers[V]) all() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for k, v := range l.base {
			if _, changed := l.over[k]; changed {
				continue
			}
			if !yield(k, v) {
				return
			}
		}
		for k, p := range l.over {
			if p != nil && !yield(k, *p) {
				return
			}
		}
	}
}

// change returns layers that may be changed with set and drop without changing
// l, until seal is called. many tells that a good part of it will change.
func (l *layers[V]) change(many bool) layers[V] {
	if l.private {
		return *l
	}
	if many || len(l.over) > 256 && len(l.over)*len(l.over) > 16*len(l.base) {
		base := make(map[string]V, l.n)
		for k, v := range l.all() {
			base[k] = v
		}
		return layers[V]{base: base, over: map[string]*V{}, n: l.n}
	}
	over := make(map[string]*V, len(l.over)+8)
	for k, p := range l.over {
		over[k] = p
	}
	return layers[V]{base: l.base, over: over, n: l.n}
}

// seal ends changing.
func (l *layers[V]) seal() { l.private = false }

func (l *layers[V]) set(key string, v V) {
	if _, ok := l.get(key); !ok {
		l.n++
	}
	if l.private {
		l.base[key] = v
		return
	}
	if l.over == nil {
		l.over = map[string]*V{}
	}
	l.over[key] = &v
}

func (l *layers[V]) drop(key string) {
	if _, ok := l.get(key); !ok {
		return
	}
	l.n--
	if l.private {
		delete(l.base, key)
		return
	}
	if _, ok := l.base[key]; !ok {
		delete(l.over, key)
		return
	}
	l.over[key] = nil // what is in base only can be dropped from here only
}
