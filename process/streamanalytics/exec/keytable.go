package exec

import (
	"encoding/binary"
	"hash/maphash"

	"millrace/process/streamanalytics/codec"
	"millrace/process/streamanalytics/value"
)

// keyTable gives groups small numbers, by the values of their keys. It is made
// for millions of groups: keys lie one behind the other in large blocks without
// pointers, and a group takes some 22 bytes beside its key and its values.
//
// A group is kept as long as it is in use (see use and release), and a while
// longer, so that groups that come in every window are not made anew each time.
type keyTable struct {
	seed maphash.Seed
	// index is a hash table with open addressing: a group's number plus 1.
	index  []uint32
	hashes []uint32
	start  []uint64
	refs   []uint32
	free   []uint32
	// idle are groups that went out of use since the last sweep, older those
	// before it. Some may be in use again.
	idle, older []uint32
	blocks      [][]byte
	live        int
	// used and dead are the bytes in blocks: all, and those of groups that are
	// no more.
	used, dead int64
	// width is the number of values of a key.
	width int
	spare []value.Value
}

const (
	blockSize = 1 << 16
	// groupSize is what a group takes in index, hashes, start and refs.
	groupSize = 24
	// gone is the start of a group that is no more.
	gone = ^uint64(0)
)

func newKeyTable(width int) *keyTable {
	return &keyTable{seed: maphash.MakeSeed(), width: width, spare: make([]value.Value, width)}
}

func (t *keyTable) hash(key []byte) uint32 {
	h := maphash.Bytes(t.seed, key)
	return uint32(h) ^ uint32(h>>32)
}

// find returns the group of a key.
func (t *keyTable) find(key []byte) (group uint32, ok bool) {
	if len(t.index) == 0 {
		return 0, false
	}
	h, mask := t.hash(key), uint32(len(t.index)-1)
	for i := h & mask; ; i = (i + 1) & mask {
		g := t.index[i]
		if g == 0 {
			return 0, false
		}
		if g--; t.hashes[g] == h && string(t.key(g)) == string(key) {
			return g, true
		}
	}
}

// group returns the group of a key, which is made if it is new, and how many
// bytes that took.
func (t *keyTable) group(key []byte, values []value.Value) (group uint32, grown int64) {
	if g, ok := t.find(key); ok {
		return g, 0
	}
	if (t.live+1)*4 > len(t.index)*3 {
		t.rehash()
	}
	g := t.number()
	h := t.hash(key)
	t.hashes[g] = h
	size := t.store(g, key, values)
	t.place(g, h)
	t.live++
	return g, groupSize + size
}

func (t *keyTable) number() uint32 {
	if n := len(t.free); n > 0 {
		g := t.free[n-1]
		t.free = t.free[:n-1]
		return g
	}
	t.hashes = append(t.hashes, 0)
	t.start = append(t.start, 0)
	t.refs = append(t.refs, 0)
	return uint32(len(t.refs) - 1)
}

func (t *keyTable) place(g, h uint32) {
	mask := uint32(len(t.index) - 1)
	i := h & mask
	for t.index[i] != 0 {
		i = (i + 1) & mask
	}
	t.index[i] = g + 1
}

// rehash makes room in the index.
func (t *keyTable) rehash() {
	old := t.index
	t.index = make([]uint32, max(16, 2*len(old)))
	for _, g := range old {
		if g != 0 {
			t.place(g-1, t.hashes[g-1])
		}
	}
}

// store writes a group's entry: the length of the key, the key, the values.
func (t *keyTable) store(g uint32, key []byte, values []value.Value) int64 {
	size := binary.MaxVarintLen32 + len(key)
	for _, v := range values {
		size += 16 + v.MemSize() + 12*v.Len()
	}
	n := len(t.blocks)
	if n == 0 || cap(t.blocks[n-1])-len(t.blocks[n-1]) < size {
		t.blocks = append(t.blocks, make([]byte, 0, max(size, blockSize)))
		n++
	}
	b := t.blocks[n-1]
	at := len(b)
	b = binary.AppendUvarint(b, uint64(len(key)))
	b = append(b, key...)
	for _, v := range values {
		b = appendKept(b, v)
	}
	t.blocks[n-1] = b
	t.start[g] = uint64(n-1)<<32 | uint64(at)
	t.used += int64(len(b) - at)
	return int64(len(b) - at)
}

// appendKept writes a value so that kept reads it without a copy.
func appendKept(dst []byte, v value.Value) []byte {
	if v.Kind() == value.String {
		s := v.Str()
		dst = binary.AppendUvarint(append(dst, 0), uint64(len(s)))
		return append(dst, s...)
	}
	return v.AppendState(append(dst, 1))
}

// entry returns a group's entry: key, values and what lies behind.
func (t *keyTable) entry(g uint32) []byte {
	at := t.start[g]
	return t.blocks[at>>32][uint32(at):]
}

func (t *keyTable) key(g uint32) []byte {
	b := t.entry(g)
	n, size := binary.Uvarint(b)
	return b[size : uint64(size)+n]
}

// values reads the values of a group's key into dst. Texts are views into the
// table: they hold until a group is made or released.
func (t *keyTable) values(g uint32, dst []value.Value) (size int) {
	return t.read(t.entry(g), dst)
}

// size is the length of the entry that b begins with.
func (t *keyTable) size(b []byte) int { return t.read(b, t.spare) }

func (t *keyTable) read(b []byte, dst []value.Value) (size int) {
	whole := len(b)
	n, skip := binary.Uvarint(b)
	b = b[uint64(skip)+n:]
	for i := range t.width {
		kind := b[0]
		b = b[1:]
		if kind == 0 {
			n, skip := binary.Uvarint(b)
			dst[i] = value.TextBytes(b[skip : uint64(skip)+n])
			b = b[uint64(skip)+n:]
			continue
		}
		v, rest, err := value.ReadState(b)
		if err != nil {
			// What AppendState wrote is read by ReadState.
			v, rest = value.Value{}, nil
		}
		dst[i], b = v, rest
	}
	return whole - len(b)
}

// use counts a use of a group, release takes one back.
func (t *keyTable) use(g uint32) { t.refs[g]++ }

func (t *keyTable) release(g uint32) {
	if t.refs[g]--; t.refs[g] == 0 {
		t.idle = append(t.idle, g)
	}
}

// sweep forgets the groups that were out of use at the last sweep and still
// are, and returns the bytes that this gave back.
func (t *keyTable) sweep() int64 {
	var freed int64
	for _, g := range t.older {
		if t.refs[g] == 0 && t.start[g] != gone {
			freed += t.remove(g)
		}
	}
	t.older, t.idle = t.idle, t.older[:0]
	if t.dead > blockSize && t.dead > t.used/2 {
		t.compact()
	}
	return freed
}

// remove takes a group out of the index and closes the gap in it.
func (t *keyTable) remove(g uint32) int64 {
	mask := uint32(len(t.index) - 1)
	i := t.hashes[g] & mask
	for t.index[i] != g+1 {
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; t.index[j] != 0; j = (j + 1) & mask {
		home := t.hashes[t.index[j]-1] & mask
		if (j-home)&mask >= (j-i)&mask {
			t.index[i] = t.index[j]
			i = j
		}
	}
	t.index[i] = 0
	size := int64(t.values(g, t.spare))
	t.start[g] = gone
	t.free = append(t.free, g)
	t.live--
	t.dead += size
	return groupSize + size
}

// compact writes the entries of all groups into new blocks.
func (t *keyTable) compact() {
	old := t.blocks
	t.blocks, t.used, t.dead = nil, 0, 0
	for g, at := range t.start {
		if at == gone {
			continue
		}
		whole := old[at>>32][uint32(at):]
		entry := whole[:t.size(whole)]
		n := len(t.blocks)
		if n == 0 || cap(t.blocks[n-1])-len(t.blocks[n-1]) < len(entry) {
			t.blocks = append(t.blocks, make([]byte, 0, max(len(entry), blockSize)))
			n++
		}
		t.start[g] = uint64(n-1)<<32 | uint64(len(t.blocks[n-1]))
		t.blocks[n-1] = append(t.blocks[n-1], entry...)
		t.used += int64(len(entry))
	}
}

// appendState writes the groups of a list; readState reads them, gives them the
// numbers 0, 1, ... and returns how many there are and their bytes.
func (t *keyTable) appendState(dst []byte, groups []uint32) []byte {
	dst = codec.AppendUint(dst, uint64(len(groups)))
	for _, g := range groups {
		dst = codec.AppendBytes(dst, t.key(g))
		t.values(g, t.spare)
		for _, v := range t.spare {
			dst = v.AppendState(dst)
		}
	}
	return dst
}

func (t *keyTable) readState(d *decoder) (n int, size int64) {
	n = d.Count(1 + t.width)
	for i := range n {
		key := d.Bytes()
		for j := range t.spare {
			t.spare[j] = d.Value()
		}
		if d.Err() != nil {
			return 0, size
		}
		g, grown := t.group(key, t.spare)
		if int(g) != i {
			d.Fail("a group is there twice")
			return 0, size
		}
		size += grown
	}
	return n, size
}
