package eventhubs

import (
	"math/rand/v2"
	"testing"

	"millrace/connector"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// outputLog is an output partition in memory.
type outputLog []*azeventhubs.ReceivedEventData

func (l *outputLog) append(properties map[string]any) int64 {
	seq := int64(len(*l))
	*l = append(*l, &azeventhubs.ReceivedEventData{SequenceNumber: seq, EventData: azeventhubs.EventData{Properties: properties}})
	return seq
}

// tail is what a reader of the last n events has.
func (l outputLog) tail(n int) *tail { return &tail{events: l[max(len(l)-n, 0):]} }

// owner is a worker that may have lost its partition and not know it.
type owner struct {
	epoch int64
	state progress
	// held is a write that was made ready while the worker was the owner.
	held []map[string]any
}

// write makes the next write ready: position by position, some with several
// results, some with none.
func (o *owner) write(rnd *rand.Rand, to int64) {
	o.held = nil
	position := max(o.state.position, 0)
	for offset := position; offset < to; offset++ {
		for index := range offset % 4 {
			if !o.state.holds(offset, index) {
				o.held = append(o.held, map[string]any{propSource: int64(1), propEpoch: o.epoch, propFrom: offset, propIndex: index})
			}
		}
	}
	end := map[string]any{propSource: int64(1), propEpoch: o.epoch}
	if len(o.held) > 0 && rnd.IntN(2) == 0 {
		end = o.held[len(o.held)-1]
	} else {
		o.held = append(o.held, end)
	}
	end[propNext] = to
}

// TestStoreRule walks at random through claims, writes that are cut off,
// repeated or arrive after the partition was lost, and checks that a reader who
// keeps to the rule sees every result once and in order, and that every
// claimant that reads a bounded tail back goes on where the last one was.
func TestStoreRule(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		var log outputLog
		var owners []*owner
		most := 0 // events in one write
		for range 60 {
			if len(owners) == 0 || rnd.IntN(8) == 0 {
				epoch := log.append(map[string]any{propSource: int64(1), propClaim: "token"})
				o := &owner{epoch: epoch}
				// An owner checks before it writes, so that since it lost the
				// partition it has at most one write on its way.
				o.state = log.tail((len(owners)+1)*(most+2) + 1).progress(1)
				if o.state.position == connector.Unknown {
					o.state = log.tail(len(log)).progress(1)
				}
				if whole := log.tail(len(log)).progress(1); o.state != whole {
					t.Fatalf("seed %d: the tail says %+v, the whole partition %+v", seed, o.state, whole)
				}
				if o.state.epoch != epoch {
					t.Fatalf("seed %d: epoch %d, want that of the claim, %d", seed, o.state.epoch, epoch)
				}
				owners = append(owners, o)
				continue
			}
			o := owners[rnd.IntN(len(owners))]
			if o == owners[len(owners)-1] && o.held == nil {
				o.write(rnd, max(o.state.position, 0)+rnd.Int64N(6))
				most = max(most, len(o.held))
			}
			if o.held == nil {
				continue
			}
			n := len(o.held)
			if rnd.IntN(3) == 0 {
				n = rnd.IntN(n + 1) // cut off, or the rest comes later
			}
			for _, e := range o.held[:n] {
				log.append(e)
			}
			if rnd.IntN(3) > 0 { // else all of it is sent again
				o.held = o.held[n:]
			}
			if len(o.held) == 0 {
				o.held = nil
				r := newReading()
				for _, e := range log {
					_, _, _ = r.take(e)
				}
				o.state = *r.of(1)
				if o.state.epoch != o.epoch {
					owners = owners[:len(owners):len(owners)]
					o.held = nil
				}
			}
		}
		r := newReading()
		offset, index := int64(0), int64(-1)
		for _, e := range log {
			id, result, err := r.take(e)
			if err != nil {
				t.Fatal(err)
			}
			if !result {
				continue
			}
			// The next result is the next index, or the first of the next
			// position that has any.
			if index++; index >= offset%4 {
				for offset, index = offset+1, 0; offset%4 == 0; offset++ {
				}
			}
			if id.offset != offset || id.index != index {
				t.Fatalf("seed %d: result %d of position %d, want %d of %d", seed, id.index, id.offset, index, offset)
			}
		}
	}
}

// TestStoreEpochs: what an owner sends after it has lost the partition counts
// for nothing, also for whoever reads only the end of the partition, where the
// claim itself cannot be seen any more.
func TestStoreEpochs(t *testing.T) {
	t.Parallel()
	result := func(epoch, offset, next int64) map[string]any {
		return map[string]any{propSource: int64(1), propEpoch: epoch, propFrom: offset, propNext: next}
	}
	var log outputLog
	old := log.append(map[string]any{propSource: int64(1), propClaim: "old"})
	log.append(result(old, 0, 1))
	fresh := log.append(map[string]any{propSource: int64(1), propClaim: "new"})
	late := log.append(result(old, 7, 8))
	log.append(result(fresh, 1, 2))
	want := progress{epoch: fresh, position: 2, offset: 1}
	for n := 2; n <= len(log); n++ {
		if got := log.tail(n).progress(1); got != want {
			t.Errorf("the last %d events say %+v, want %+v", n, got, want)
		}
	}
	r := newReading()
	for _, e := range log {
		if _, result, _ := r.take(e); result && e.SequenceNumber == late {
			t.Error("a result that was sent after the partition was lost is taken")
		}
	}
	if _, _, err := r.take(&azeventhubs.ReceivedEventData{}); err == nil {
		t.Error("an event without a source is taken for one of ours")
	}
}
