package connector

import (
	"cmp"
	"fmt"
	"slices"
)

// Check returns the advances of w in the order of their partitions. It fails if a
// partition is advanced twice or taken back, or if a result lies in no advance of
// its partition; timed is as in Traits. each, unless it is nil, is called for
// every result in turn with the index of the advance that it lies in.
func (w *Write) Check(timed bool, each func(result, advance int)) ([]Advance, error) {
	byPartition := func(a, b Advance) int { return cmp.Compare(a.Partition, b.Partition) }
	advances := slices.SortedFunc(slices.Values(w.Advances), byPartition)
	for i, a := range advances {
		if i > 0 && advances[i-1].Partition == a.Partition {
			return nil, fmt.Errorf("a write advances partition %d twice", a.Partition)
		}
		if a.To < a.From {
			return nil, fmt.Errorf("a write takes partition %d back from %d to %d", a.Partition, a.From, a.To)
		}
	}
	at := -1
	for i := range w.Results {
		r := &w.Results[i]
		if at < 0 || advances[at].Partition != r.Partition {
			found := false
			if at, found = slices.BinarySearchFunc(advances, Advance{Partition: r.Partition}, byPartition); !found {
				return nil, fmt.Errorf("a write has a result of partition %d, which it does not advance", r.Partition)
			}
		}
		a := &advances[at]
		if a.From != Unknown && r.Offset < a.From || r.Offset > a.To || r.Offset == a.To && !timed {
			return nil, fmt.Errorf("a write has a result at %d of partition %d, which it advances from %d to %d",
				r.Offset, r.Partition, a.From, a.To)
		}
		if each != nil {
			each(i, at)
		}
	}
	return advances, nil
}
