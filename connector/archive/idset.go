package archive

import (
	"encoding/binary"
	"math/bits"

	"millrace/record"
)

// idSet remembers event IDs, exactly: 18 to 36 bytes each. It is made of many
// small tables, so that growing one needs little room for the moment of the
// move. Not safe for concurrent use.
type idSet struct {
	tables [idTables]idTable
	// zero tells whether the ID of zeros is there, which marks a free place.
	zero bool
}

const idTables = 256

type idTable struct {
	slots []record.ID
	used  int
}

// add tells whether the ID is new.
func (s *idSet) add(id record.ID) bool {
	if id == (record.ID{}) {
		fresh := !s.zero
		s.zero = true
		return fresh
	}
	h := idHash(id)
	return s.tables[h>>56].add(id, h)
}

// idHash spreads IDs that need not be random.
func idHash(id record.ID) uint64 {
	hi, lo := bits.Mul64(binary.LittleEndian.Uint64(id[:8])^0x9e3779b97f4a7c15,
		binary.LittleEndian.Uint64(id[8:])^0xd6e8feb86659fd93)
	return (hi ^ lo) * 0xff51afd7ed558ccd
}

func (t *idTable) add(id record.ID, h uint64) bool {
	if t.used >= len(t.slots)-len(t.slots)/8 {
		t.grow()
	}
	at := t.slot(h)
	for t.slots[at] != (record.ID{}) {
		if t.slots[at] == id {
			return false
		}
		if at++; at == len(t.slots) {
			at = 0
		}
	}
	t.slots[at] = id
	t.used++
	return true
}

// slot takes the place from the bits below those that chose the table.
func (t *idTable) slot(h uint64) int {
	hi, _ := bits.Mul64(h<<8, uint64(len(t.slots)))
	return int(hi)
}

func (t *idTable) grow() {
	old := t.slots
	t.slots, t.used = make([]record.ID, max(16, 2*len(old))), 0
	for _, id := range old {
		if id != (record.ID{}) {
			t.add(id, idHash(id))
		}
	}
}
