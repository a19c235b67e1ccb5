package store

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"millrace/connector/cosmosdb/local/partition"

	"github.com/cespare/xxhash/v2"
)

// policy is what matters of an indexing policy.
type policy struct {
	Automatic *bool        `json:"automatic"`
	Mode      string       `json:"indexingMode"`
	Included  []policyPath `json:"includedPaths"`
	Excluded  []policyPath `json:"excludedPaths"`
}

type policyPath struct {
	Path string `json:"path"`
}

// step is one part of a path: a member's name, or all elements of an array.
type step struct {
	name    string
	element bool
}

// shape is what is to be found in an item: the values that an indexing policy
// and the unique keys name. It is immutable.
type shape struct {
	root *node
	// explicit are the hashes of the paths that are named one by one: every
	// item has an entry, those without the path as undefined.
	explicit []uint64
	// slots is how many values the unique keys are made of, uniques which ones
	// each is of.
	slots   int
	uniques [][]int
}

// node is a place in an item.
type node struct {
	names []string
	nodes []*node
	// elements is the place of an array's elements, nil if no path says more
	// of them.
	elements *node
	hash     uint64
	// indexed tells whether a value at the place has an entry, below whether
	// those at places have that no path says more of.
	indexed, below bool
	explicit       int // number of an explicit path, -1 none
	slot           int // of a unique key's value, -1 none
}

// rule is a path of a policy.
type rule struct {
	steps   []step
	subtree bool // ends with * rather than ?
	include bool
}

// newShape compiles an indexing policy, nil for the default one, and unique
// keys.
func newShape(indexing json.RawMessage, uniqueKeys [][]string) (*shape, error) {
	rules, err := parsePolicy(indexing)
	if err != nil {
		return nil, err
	}
	s := &shape{root: newNode(rootHash)}
	for _, r := range rules {
		n := s.root
		for _, st := range r.steps {
			n = n.child(st)
		}
		if !r.subtree && r.include && n.explicit < 0 && len(r.steps) > 0 && !apart(r.steps[0].name) {
			n.explicit = len(s.explicit)
			s.explicit = append(s.explicit, n.hash)
		}
	}
	for _, paths := range uniqueKeys {
		if len(paths) == 0 {
			return nil, fmt.Errorf("%w: a unique key without paths", ErrInvalid)
		}
		var slots []int
		for _, path := range paths {
			names, err := partition.SplitPath(path)
			if err != nil {
				return nil, fmt.Errorf("%w: the unique key's path: %w", ErrInvalid, err)
			}
			n := s.root
			for _, name := range names {
				n = n.child(step{name: name})
			}
			if n.slot < 0 {
				n.slot = s.slots
				s.slots++
			}
			slots = append(slots, n.slot)
		}
		s.uniques = append(s.uniques, slots)
	}
	if len(s.uniques) > 250 {
		return nil, fmt.Errorf("%w: %d unique keys are too many", ErrInvalid, len(s.uniques))
	}
	s.root.decide(nil, rules, false)
	for i, n := range s.root.nodes {
		if apart(s.root.names[i]) {
			n.clear()
		}
	}
	return s, nil
}

// systemNames are the members that the store gives items; those of a client are
// not looked at.
var systemNames = [...]string{"_rid", "_self", "_etag", "_attachments", "_ts", "_lsn", "_metadata"}

func isSystem(name string) bool {
	return len(name) > 2 && name[0] == '_' && slices.Contains(systemNames[:], name)
}

// apart tells whether a policy has no say about a member of an item: id has an
// index of its own.
func apart(name string) bool { return name == "id" || isSystem(name) }

func newNode(hash uint64) *node { return &node{hash: hash, explicit: -1, slot: -1} }

func (n *node) child(s step) *node {
	if s.element {
		if n.elements == nil {
			n.elements = newNode(elementHash(n.hash))
		}
		return n.elements
	}
	for i, name := range n.names {
		if name == s.name {
			return n.nodes[i]
		}
	}
	c := newNode(memberHash(n.hash, s.name))
	n.names, n.nodes = append(n.names, s.name), append(n.nodes, c)
	return c
}

// clear takes a place and all below it out of the index.
func (n *node) clear() {
	n.indexed, n.below, n.explicit = false, false, -1
	for _, c := range n.nodes {
		c.clear()
	}
	if n.elements != nil {
		n.elements.clear()
	}
}

// decide settles what the rules say of the places at and below n, which steps
// lead to: the longest rule counts, and one that names just the place counts
// most.
func (n *node) decide(at []step, rules []rule, inherited bool) {
	below := inherited
	exact, named := false, false
	for _, r := range rules {
		if !slices.Equal(r.steps, at) {
			continue
		}
		if r.subtree {
			below = r.include
		} else {
			exact, named = r.include, true
		}
	}
	n.below = below
	n.indexed = below
	if named {
		n.indexed = exact
	}
	for i, c := range n.nodes {
		c.decide(append(at[:len(at):len(at)], step{name: n.names[i]}), rules, below)
	}
	if n.elements != nil {
		n.elements.decide(append(at[:len(at):len(at)], step{element: true}), rules, below)
	}
}

func parsePolicy(text json.RawMessage) ([]rule, error) {
	if len(text) == 0 {
		return []rule{{subtree: true, include: true}}, nil
	}
	var p policy
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("%w: the indexing policy cannot be read: %w", ErrInvalid, err)
	}
	if strings.EqualFold(p.Mode, "none") || p.Automatic != nil && !*p.Automatic {
		return nil, nil
	}
	var rules []rule
	for i, set := range [][]policyPath{p.Excluded, p.Included} {
		for _, path := range set {
			r, err := parseRule(path.Path)
			if err != nil {
				return nil, err
			}
			r.include = i == 1
			rules = append(rules, r)
		}
	}
	return rules, nil
}

func parseRule(path string) (rule, error) {
	if path == "/" {
		return rule{subtree: true}, nil
	}
	cut := strings.LastIndexByte(path, '/')
	if cut < 0 || path[cut+1:] != "?" && path[cut+1:] != "*" {
		return rule{}, fmt.Errorf("%w: the indexing path %q: it begins with / and ends with /? or /*", ErrInvalid, path)
	}
	steps, err := parseSteps(path[:cut])
	if err != nil {
		return rule{}, fmt.Errorf("%w: the indexing path %q: %w", ErrInvalid, path, err)
	}
	return rule{steps: steps, subtree: path[cut+1:] == "*"}, nil
}

// parseSteps reads /a/"b c"/[].
func parseSteps(path string) ([]step, error) {
	if path == "" {
		return nil, nil
	}
	names, err := partition.SplitPath(path)
	if err != nil {
		return nil, err
	}
	steps := make([]step, len(names))
	at := 0
	for i, name := range names {
		quoted := path[at+1] == '"'
		at += 1 + len(name)
		if quoted {
			at += 2
		}
		steps[i] = step{name: name}
		if name == "[]" && !quoted {
			steps[i] = step{element: true}
		}
	}
	return steps, nil
}

// A path has a hash of 64 bits, made step by step, by which the index knows it.
const rootHash = 0x9E3779B97F4A7C15

func memberHash(parent uint64, name string) uint64 { return mix(parent ^ xxhash.Sum64String(name)) }

func elementHash(parent uint64) uint64 { return mix(parent + 0x632BE59BD9B4E019) }

func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xFF51AFD7ED558CCD
	x ^= x >> 33
	x *= 0xC4CEB9FE1A85EC53
	return x ^ x>>33
}

// coverage tells whether the items' values at a path have entries, and whether
// those without the path have one, too.
func (s *shape) coverage(steps []step) (hash uint64, indexed, undefined bool) {
	if len(steps) == 0 {
		return 0, false, false
	}
	n, hash, below := s.root, uint64(rootHash), false
	for _, st := range steps {
		if st.element {
			hash = elementHash(hash)
		} else {
			hash = memberHash(hash, st.name)
		}
		if n != nil {
			below = n.below
			n = n.find(st)
		}
	}
	if len(steps) == 1 && steps[0] == (step{name: "id"}) {
		return idHash, true, true
	}
	if apart(steps[0].name) {
		return hash, false, false
	}
	if n == nil {
		return hash, below, false
	}
	return hash, n.indexed, n.indexed && n.explicit >= 0
}

func (n *node) find(s step) *node {
	if s.element {
		return n.elements
	}
	for i, name := range n.names {
		if name == s.name {
			return n.nodes[i]
		}
	}
	return nil
}

// idHash is the path of the index on id, which every container has. It is apart
// from that of a policy.
var idHash = mix(memberHash(rootHash, "id") + 1)
