package eventhubs_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"millrace/connector"
	"millrace/record"
)

// keys is how many keys the events of event have.
const keys = 32

// event is the i-th event: its value names it, its key is one of a few.
func event(i int) *connector.Message {
	return &connector.Message{Key: fmt.Appendf(nil, "device-%d", i%keys), Token: uint64(i),
		Value: append(binary.BigEndian.AppendUint64(nil, uint64(i)), make([]byte, 300)...)}
}

func numberOf(r *record.Record) uint64 { return binary.BigEndian.Uint64(r.Value) }

// send sends n events from the given one on.
func send(t testing.TB, l connector.Log, n, from int) {
	t.Helper()
	ctx, a := testContext(t), newAcks()
	p, err := l.Producer(ctx, a.acked)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for i := from; i < from+n; i++ {
		if err := p.Produce(ctx, event(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	for i := from; i < from+n; i++ {
		if err, ok := a.of(uint64(i)); !ok || err != nil {
			t.Fatalf("event %d: acknowledged %v, %v", i, ok, err)
		}
	}
}

// world is what the workers of one group do, as a store with fencing would see
// it: a partition has one position, and only the worker that claimed it last
// moves it.
type world struct {
	mu        sync.Mutex
	positions map[int32]int64
	owner     map[int32]*worker
	seen      map[uint64]int
	last      map[string]uint64
	total     int
	lost      int
	fenced    int
	fault     error
}

func newWorld(int) *world {
	return &world{positions: map[int32]int64{}, owner: map[int32]*worker{}, seen: map[uint64]int{}, last: map[string]uint64{}}
}

// worker implements connector.Handler.
type worker struct {
	w      *world
	src    connector.Source
	cancel context.CancelFunc
	result chan error
	replay connector.Log // if set, Assign replays what the store has, as recovery does
	owned  map[int32]bool
}

func (w *world) join(t testing.TB, l connector.Log, group string) *worker {
	t.Helper()
	src, err := l.Source(testContext(t), group)
	if err != nil {
		t.Fatal(err)
	}
	m := &worker{w: w, src: src, result: make(chan error, 1), owned: map[int32]bool{}}
	ctx, cancel := context.WithCancel(testContext(t))
	m.cancel = cancel
	go func() { m.result <- src.Run(ctx, m) }()
	t.Cleanup(func() { cancel(); _ = src.Close() })
	return m
}

func (m *worker) leave(t testing.TB) {
	t.Helper()
	m.cancel()
	select {
	case err := <-m.result:
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("Run does not end with its context")
	}
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	if len(m.owned) > 0 {
		t.Errorf("Run ended and %d partitions were not revoked", len(m.owned))
	}
}

func (m *worker) Assign(ctx context.Context, partitions []int32) (map[int32]int64, error) {
	w := m.w
	starts := map[int32]int64{}
	for _, p := range partitions {
		w.mu.Lock()
		if m.owned[p] {
			w.fault = fmt.Errorf("partition %d was assigned twice", p)
		}
		m.owned[p], w.owner[p] = true, m
		at, ok := w.positions[p]
		w.mu.Unlock()
		if !ok {
			at = connector.Earliest
		}
		starts[p] = at
		if m.replay != nil {
			x, err := m.replay.Ends(ctx)
			if err == nil {
				err = m.replay.Replay(ctx, p, 0, min(x[p], 20), func(*record.Batch) error { return nil })
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return starts, nil
}

func (m *worker) Deliver(_ context.Context, b *record.Batch) error {
	w := m.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if !m.owned[b.Partition] {
		return nil
	}
	if w.owner[b.Partition] != m {
		w.fenced++ // a store would have refused it
		return nil
	}
	for i := range b.Records {
		r := &b.Records[i]
		if at := w.positions[b.Partition]; r.Offset != at {
			w.fault = fmt.Errorf("partition %d: position %d came, want %d", b.Partition, r.Offset, at)
		}
		w.positions[b.Partition] = r.Offset + 1
		n := numberOf(r)
		if w.seen[n]++; w.seen[n] == 1 {
			if before, ok := w.last[string(r.Key)]; ok && n < before {
				w.fault = fmt.Errorf("key %s: %d came after %d", r.Key, n, before)
			}
			w.last[string(r.Key)] = n
		}
		w.total++
	}
	return nil
}

func (m *worker) Revoke(ctx context.Context, partitions []int32, lost bool) {
	w := m.w
	var positions []connector.Position
	w.mu.Lock()
	for _, p := range partitions {
		if !m.owned[p] {
			w.fault = fmt.Errorf("partition %d was revoked without being owned", p)
		}
		delete(m.owned, p)
		if lost {
			w.lost++
		}
		positions = append(positions, connector.Position{Partition: p, Offset: w.positions[p]})
	}
	w.mu.Unlock()
	if !lost {
		if err := m.src.Commit(ctx, positions); err != nil {
			w.mu.Lock()
			w.fault = err
			w.mu.Unlock()
		}
	}
}

func (w *world) until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		w.mu.Lock()
		done, fault := ok(), w.fault
		total, positions := w.total, fmt.Sprint(w.positions)
		w.mu.Unlock()
		if fault != nil {
			t.Fatal(fault)
		}
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("in vain waited for %s; %d events came, positions %s", what, total, positions)
		}
	}
}

func (w *world) await(t testing.TB, total int) {
	t.Helper()
	w.until(t, fmt.Sprintf("%d events", total), func() bool { return w.total >= total })
}

// check fails unless every position of the log was seen by its owner.
func (w *world) check(t testing.TB, l connector.Log) {
	t.Helper()
	ends, err := l.Ends(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fault != nil {
		t.Error(w.fault)
	}
	sum := int64(0)
	for p, end := range ends {
		sum += end
		if w.positions[int32(p)] != end {
			t.Errorf("partition %d was read to %d, want %d", p, w.positions[int32(p)], end)
		}
	}
	if int64(w.total) != sum {
		t.Errorf("%d events were seen, the hub has %d", w.total, sum)
	}
}

// certificate makes one for loopback, and a file with the authority.
func certificate(t testing.TB) (conf *tls.Config, caFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "millrace test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, caFile
}
