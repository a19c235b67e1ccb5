package query

import "millrace/connector/cosmosdb/local/value"

// memberSet is some members of the container's items that a query names. They
// are taken out of an item together, in one walk over it, when the first of them
// is asked for.
type memberSet struct {
	names  []string
	values []value.Value
	loaded bool
}

// maxMembers is how many members a set has: each name is compared with each
// member of an item.
const maxMembers = 12

// The sets of a query: what WHERE names, and what only items that pass it are
// asked for.
const (
	filterMembers = iota
	otherMembers
	memberSets
)

// memberOf gives a name a place in a set; ok is false if there is none left.
func (c *compiler) memberOf(name string) (set, at int, ok bool) {
	for set := range c.members {
		for at, known := range c.members[set] {
			if known == name {
				return set, at, true
			}
		}
	}
	set = c.set
	if len(c.members[set]) == maxMembers {
		return 0, 0, false
	}
	c.members[set] = append(c.members[set], name)
	return set, len(c.members[set]) - 1, true
}

// member compiles a path of the container's items that begins with a member of
// a set.
func memberPath(set, at, container int, names []string) expr {
	return func(f *frame) value.Value {
		if !f.step() {
			return value.Undefined()
		}
		m := &f.members[set]
		if !m.loaded {
			m.load(f.vars[container])
		}
		v := m.values[at]
		for _, name := range names {
			v = v.Get(name)
		}
		return v
	}
}

func (m *memberSet) load(item value.Value) {
	m.loaded = true
	if len(m.names) == 1 {
		m.values[0] = item.Get(m.names[0])
		return
	}
	clear(m.values)
	item.EachMember(func(name string, v value.Value) bool {
		for i, known := range m.names {
			if known == name {
				m.values[i] = v
				break
			}
		}
		return true
	})
}
