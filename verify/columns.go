package verify

import (
	"encoding/binary"
	"math/bits"

	"millrace/record"
)

// chunkBits sizes the blocks in which events are kept: large enough that the
// slice of blocks is negligible, small enough that the last block wastes
// little.
const (
	chunkBits = 15
	chunkLen  = 1 << chunkBits
	chunkMask = chunkLen - 1
)

// The bits of a state.
const (
	stAcked    uint8 = 1 << iota // some copy was acknowledged
	stResent                     // a copy was sent again, on purpose
	stServed                     // one row or more
	stMany                       // two rows or more
	stLettered                   // is in the dead letters
	stCorrupt                    // some row differs from what was sent
	stUnsure                     // what its row must say is not known
	stDropped                    // a stated rule has left it out, as a letter says
)

// chunk is a block of events as columns. It holds no pointers, so the garbage
// collector never looks inside, and an event costs the same whatever its
// payload.
type chunk struct {
	id          [chunkLen]record.ID
	fingerprint [chunkLen]uint64
	createdAt   [chunkLen]int64
	storedAt    [chunkLen]int64  // of the earliest row; valid if stServed
	position    [chunkLen]uint64 // of the earliest row; see packPosition
	device      [chunkLen]uint32 // index into columns.devices
	sequence    [chunkLen]uint32 // see columns.sequenceAt
	state       [chunkLen]uint8
	// late is by how many milliseconds the event was held back on purpose;
	// nil until one of the block was.
	late *[chunkLen]uint32
	// raw counts the copies in a raw archive, up to manyRaw; nil if there is
	// none.
	raw *[chunkLen]uint8
}

// columns holds every distinct event of the ledger in the order in which it
// was sent, and what was found of it. Not safe for concurrent use.
type columns struct {
	chunks  []*chunk
	n       uint32
	devices []string
	// longSequences holds the few sequence numbers that do not fit into 32
	// bits.
	longSequences map[uint32]int64
	// manyRaw holds the counts of copies that reach a byte's end.
	manyRaw map[uint32]int64
	index   []uint32 // event number plus one; 0 is free
}

func (c *columns) at(i uint32) (*chunk, uint32) { return c.chunks[i>>chunkBits], i & chunkMask }

// add appends an event and returns its number.
func (c *columns) add(id record.ID, fingerprint uint64, device uint32, sequence, createdAt int64, acked bool) uint32 {
	i := c.n
	if i&chunkMask == 0 {
		c.chunks = append(c.chunks, new(chunk))
	}
	c.n++
	k, s := c.at(i)
	k.id[s] = id
	k.fingerprint[s] = fingerprint
	k.createdAt[s] = createdAt
	k.device[s] = device
	if sequence >= 0 && sequence < longSequence {
		k.sequence[s] = uint32(sequence)
	} else {
		k.sequence[s] = longSequence
		if c.longSequences == nil {
			c.longSequences = make(map[uint32]int64)
		}
		c.longSequences[i] = sequence
	}
	if acked {
		k.state[s] = stAcked
	}
	return i
}

// longSequence says that the number is in longSequences.
const longSequence = 1<<32 - 1

func (c *columns) sequenceAt(i uint32) int64 {
	k, s := c.at(i)
	if k.sequence[s] == longSequence {
		return c.longSequences[i]
	}
	return int64(k.sequence[s])
}

// manyRaw says that the count is in columns.manyRaw.
const manyRaw = 1<<8 - 1

// addRaw counts a copy of event i in the raw archive.
func (c *columns) addRaw(i uint32) {
	k, s := c.at(i)
	if k.raw == nil {
		k.raw = new([chunkLen]uint8)
	}
	if k.raw[s] < manyRaw {
		k.raw[s]++
	}
	if k.raw[s] == manyRaw {
		if c.manyRaw == nil {
			c.manyRaw = make(map[uint32]int64)
		}
		c.manyRaw[i] = max(c.manyRaw[i]+1, manyRaw)
	}
}

// rawAt is how many copies of event i the raw archive holds.
func (c *columns) rawAt(i uint32) int64 {
	k, s := c.at(i)
	switch {
	case k.raw == nil:
		return 0
	case k.raw[s] == manyRaw:
		return c.manyRaw[i]
	}
	return int64(k.raw[s])
}

// setLate notes that event i was held back by the given milliseconds.
func (c *columns) setLate(i uint32, ms int64) {
	k, s := c.at(i)
	if k.late == nil {
		k.late = new([chunkLen]uint32)
	}
	k.late[s] = uint32(min(ms, 1<<32-1))
}

// dueAt is when event i was due to be sent: createdAt, plus the time for which
// it was held back on purpose.
func (c *columns) dueAt(i uint32) int64 {
	k, s := c.at(i)
	if k.late == nil {
		return k.createdAt[s]
	}
	return k.createdAt[s] + int64(k.late[s])*1000
}

// build makes the index over all events. It is done once, when their number is
// known, because growing a table of this size would double the peak of memory.
// It returns the first pair of events with the same ID, if there is one.
func (c *columns) build() (first, second uint32, clash bool) {
	c.index = make([]uint32, uint64(c.n)*4/3+8)
	for i := range c.n {
		k, s := c.at(i)
		slot := c.slot(k.id[s])
		for c.index[slot] != 0 {
			j := c.index[slot] - 1
			if kj, sj := c.at(j); kj.id[sj] == k.id[s] {
				return j, i, true
			}
			if slot++; slot == uint64(len(c.index)) {
				slot = 0
			}
		}
		c.index[slot] = i + 1
	}
	return 0, 0, false
}

// find returns the number of the event with the given ID.
func (c *columns) find(id record.ID) (uint32, bool) {
	slot := c.slot(id)
	for c.index[slot] != 0 {
		i := c.index[slot] - 1
		if k, s := c.at(i); k.id[s] == id {
			return i, true
		}
		if slot++; slot == uint64(len(c.index)) {
			slot = 0
		}
	}
	return 0, false
}

// slot spreads an ID over the index. IDs need not be random: a sender of one's
// own may count them up.
func (c *columns) slot(id record.ID) uint64 {
	hi, lo := bits.Mul64(
		binary.LittleEndian.Uint64(id[:8])^0x9e3779b97f4a7c15,
		binary.LittleEndian.Uint64(id[8:])^0xd6e8feb86659fd93)
	slot, _ := bits.Mul64((hi^lo)*0xff51afd7ed558ccd, uint64(len(c.index)))
	return slot
}

// noPosition is the packed position of a row that names none.
const noPosition = 1<<64 - 1

// packPosition keeps partition and offset in 8 bytes: 16 bits and 48 bits,
// which is 281 trillion entries in each of 65,535 partitions. What does not
// fit has no position as far as the order check is concerned.
func packPosition(partition int32, offset int64) uint64 {
	if partition < 0 || partition >= 1<<16-1 || offset < 0 || offset >= 1<<48 {
		return noPosition
	}
	return uint64(partition)<<48 | uint64(offset)
}

func unpackPosition(p uint64) (partition int32, offset int64) {
	if p == noPosition {
		return -1, -1
	}
	return int32(p >> 48), int64(p & (1<<48 - 1))
}
