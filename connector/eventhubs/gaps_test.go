package eventhubs_test

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"millrace/record"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A topic that was written by transactions ends with markers, which are no
// events but take positions. Reading to the end comes to one all the same, and
// looking for a time behind the last event finds the end.
func TestReplayOfAHubWrittenByTransactions(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	l := prepared(t, configFor(s.Address()), testEnv(t), 1)
	ctx := testContext(t)
	hubName := l.Describe()[bytes.LastIndexByte([]byte(l.Describe()), ' ')+1:]
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.broker.Address()), kgo.DefaultProduceTopic(hubName), kgo.TransactionalID("writer"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	const each = 3
	number := func(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }
	written := 0
	for _, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryCommit, kgo.TryAbort, kgo.TryAbort} {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for i := range each {
			if err := cl.ProduceSync(ctx, &kgo.Record{Value: number(written + i)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := cl.EndTransaction(ctx, end); err != nil {
			t.Fatal(err)
		}
		if end == kgo.TryCommit {
			written += each
		}
	}
	ends, err := l.Ends(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var got []record.Record
	if err := l.Replay(ctx, 0, 0, ends[0], func(b *record.Batch) error {
		got = append(got, b.Records...)
		return nil
	}); err != nil {
		t.Fatalf("Replay: %v", err)
	}
	if len(got) != written {
		t.Fatalf("%d events, want %d; the end is %d", len(got), written, ends[0])
	}
	for i := range got {
		if !bytes.Equal(got[i].Value, number(i)) {
			t.Errorf("event %d is %x", i, got[i].Value)
		}
	}
	// From behind the last event: there is nothing, and that is no reason to
	// wait.
	if err := l.Replay(ctx, 0, got[len(got)-1].Offset+1, ends[0], func(*record.Batch) error {
		t.Error("an event behind the last one")
		return nil
	}); err != nil {
		t.Fatalf("Replay of the rest: %v", err)
	}
	at, err := l.OffsetAt(ctx, 0, got[len(got)-1].Timestamp+time.Millisecond.Microseconds())
	if err != nil || at <= got[len(got)-1].Offset || at > ends[0] {
		t.Errorf("OffsetAt behind the last event: %d, %v; the end is %d", at, err, ends[0])
	}
	// Events that come after count as usual.
	send(t, l, 1, written)
	after, err := l.Ends(ctx)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := l.Replay(ctx, 0, got[len(got)-1].Offset+1, after[0], func(b *record.Batch) error {
		n += len(b.Records)
		return nil
	}); err != nil || n != 1 {
		t.Errorf("Replay over the markers: %d events, %v", n, err)
	}
}
