package verify

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"millrace/record"
)

// t0 is when the worlds of these tests begin.
var t0 = time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC).UnixMicro()

// world is a run with everything that the judge looks at, to be bent.
type world struct {
	entries []record.Entry
	rows    []record.Stored
	letters []record.DeadLetter
	in      Input
	header  record.LedgerHeader
	// continued is how often the run was interrupted and continued.
	continued int
}

const (
	worldRate = 1000 // events per second
	gap       = int64(time.Second/time.Microsecond) / worldRate
)

func id(n int) record.ID {
	var id record.ID
	binary.BigEndian.PutUint64(id[:], uint64(n)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}

func fingerprint(n int) uint64 { return uint64(n)*0xff51afd7ed558ccd + 7 }

// newWorld is a run of n events in which everything went right: device d has
// partition d%4; a row is stored in a batch every 20 ms, 10 ms after the last
// event of the batch.
func newWorld(n, devices int) *world {
	w := &world{header: record.LedgerHeader{DevicePrefix: "contoso://device-id-", Instances: 1, Rate: worldRate}}
	var offsets [4]int64
	for i := range n {
		d := i % devices
		created := t0 + int64(i)*gap
		w.entries = append(w.entries, record.Entry{
			Kind: record.Unique, ID: id(i), Fingerprint: fingerprint(i), Device: uint32(d),
			Sequence: int64(i / devices), CreatedAt: created, Acked: true,
		})
		w.rows = append(w.rows, record.Stored{
			ID: id(i), DeviceID: []byte(deviceName(d)), Sequence: int64(i / devices),
			Partition: int32(d % 4), Offset: offsets[d%4], CreatedAt: created,
			EnqueuedAt: created + 1000, ProcessedAt: created + 3000,
			StoredAt:    (created/20000+1)*20000 + 10000,
			Fingerprint: fingerprint(i),
		})
		offsets[d%4]++
	}
	return w
}

// resend adds a resend of entry i to the end of the ledger.
func (w *world) resend(i int, acked bool) {
	e := w.entries[i]
	e.Kind, e.Acked = record.Duplicate, acked
	w.entries = append(w.entries, e)
}

// spoil adds a malformed input to the ledger and, if offset is not negative, to
// the dead letters of partition 0.
func (w *world) spoil(raw string, reason record.Reason, acked bool, offset int64) {
	w.entries = append(w.entries, record.Entry{
		Kind: record.Malformed, Fingerprint: record.RawHash([]byte(raw)), Reason: reason, Acked: acked,
	})
	if offset >= 0 {
		w.letters = append(w.letters, record.DeadLetter{Offset: offset, Reason: reason, Raw: []byte(raw)})
	}
}

func (w *world) input() Input {
	in := w.in
	in.Ledgers = []LedgerSource{w.ledger()}
	in.Scan = func(_ context.Context, fn func(*record.Stored) error) error {
		var reused record.Stored
		for _, r := range w.rows {
			reused = r
			if err := fn(&reused); err != nil {
				return err
			}
		}
		return nil
	}
	in.DeadLetters = func(_ context.Context, fn func(*record.DeadLetter) error) error {
		for i := range w.letters {
			if err := fn(&w.letters[i]); err != nil {
				return err
			}
		}
		return nil
	}
	return in
}

func (w *world) shuffle(seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	r.Shuffle(len(w.rows), func(a, b int) { w.rows[a], w.rows[b] = w.rows[b], w.rows[a] })
}

func (w *world) check(t testing.TB) *Verdict {
	t.Helper()
	v, err := Check(context.Background(), w.input())
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Judge(nil, Measured{}); err != nil {
		t.Fatal(err)
	}
	return v
}

func wantEqual[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s\n got %+v\nwant %+v", what, got, want)
	}
}

func deviceName(d int) string { return fmt.Sprintf("contoso://device-id-%d", d) }
