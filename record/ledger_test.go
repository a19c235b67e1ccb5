package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
)

func testHeader() LedgerHeader {
	return LedgerHeader{Run: "r1", Seed: 1<<63 + 7, Instances: 1, DevicePrefix: "contoso://device-id-", Devices: 1000, Rate: 10,
		StartedAt: 1767322800000000, Settings: map[string]string{"schedule": "constant"}}
}

func randomEntry(r *rand.Rand) Entry {
	e := Entry{Fingerprint: r.Uint64(), Device: uint32(r.IntN(1000)), CreatedAt: 1767322800000000 + r.Int64N(1e9)}
	switch k := r.IntN(10); k {
	case 0:
		e.Kind, e.Sequence = Malformed, -1
		e.Reason = reasonCodes[1+r.IntN(len(reasonCodes)-1)]
	default:
		if k == 1 {
			e.Kind = Duplicate
		}
		binary.LittleEndian.PutUint64(e.ID[:], r.Uint64())
		e.Sequence = r.Int64N(1 << 40)
	}
	return e
}

// ledgerStep is what a random ledger did, and how long its file was then.
type ledgerStep struct {
	size    int64
	entries int
	acked   map[int64]bool
	closed  bool
}

// writeRandom writes a ledger and returns its entries and every state that
// its file went through.
func writeRandom(t testing.TB, r *rand.Rand, path string, batches int, closeIt bool) ([]Entry, []ledgerStep) {
	t.Helper()
	w, err := CreateLedger(path, testHeader())
	if err != nil {
		t.Fatal(err)
	}
	var entries []Entry
	var open []int64
	acked := map[int64]bool{}
	var steps []ledgerStep
	note := func(closed bool) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		copied := map[int64]bool{}
		for i := range acked {
			copied[i] = true
		}
		steps = append(steps, ledgerStep{size: info.Size(), entries: len(entries), acked: copied, closed: closed})
	}
	note(false)
	for range batches {
		for range r.IntN(8) {
			e := randomEntry(r)
			i, err := w.Append(&e)
			if err != nil {
				t.Fatal(err)
			}
			if i != int64(len(entries)) {
				t.Fatalf("index %d, want %d", i, len(entries))
			}
			entries = append(entries, e)
			open = append(open, i)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		note(false)
		r.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
		for _, i := range open[:r.IntN(len(open)+1)] {
			w.Acked(i)
			acked[i] = true
		}
		kept := open[:0]
		for _, i := range open {
			if !acked[i] {
				kept = append(kept, i)
			}
		}
		open = kept
		if err := w.FlushAcks(); err != nil {
			t.Fatal(err)
		}
		note(false)
	}
	if closeIt {
		if err := w.Close(3, true); err != nil {
			t.Fatal(err)
		}
		note(true)
	} else {
		_ = w.file.Close() // as a kill does: nothing more is written
	}
	return entries, steps
}

func TestLedgerRoundTrip(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.ledger")
	entries, steps := writeRandom(t, newRand(t), path, 200, true)
	acked := steps[len(steps)-1].acked
	want := LedgerTotals{FirstAt: NoTime, LastAt: NoTime, Complete: true, Finished: true}
	i := int64(0)
	info, err := ReadLedger(dir, func(e *Entry) error {
		wantE := entries[i]
		wantE.Acked = acked[i]
		if *e != wantE {
			t.Fatalf("entry %d is %+v, want %+v", i, *e, wantE)
		}
		if e.Acked {
			switch e.Kind {
			case Unique:
				want.Unique++
			case Duplicate:
				want.Duplicates++
			case Malformed:
				want.Malformed++
			}
		}
		i++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want.Sent, want.Acked = int64(len(entries)), int64(len(acked))
	want.InDoubt = want.Sent - want.Acked
	want.Offered = want.Sent + 3
	want.Unsent = want.Offered - want.Acked
	got := info.Totals
	if got.FirstAt == NoTime || got.LastAt < got.FirstAt {
		t.Errorf("times %d to %d", got.FirstAt, got.LastAt)
	}
	want.FirstAt, want.LastAt = got.FirstAt, got.LastAt
	if got != want || i != want.Sent {
		t.Errorf("totals %+v, want %+v (%d entries)", got, want, i)
	}
	h := testHeader()
	h.Fingerprints = FingerprintVersion
	if f := info.Files[0]; !reflect.DeepEqual(f.Header, h) || f.TornBytes != 0 || f.Totals != got {
		t.Errorf("file %+v", f)
	}
	if name := DeviceName(&h, 154); name != "contoso://device-id-154" {
		t.Errorf("device name %s", name)
	}
	if _, _, err := ResumeLedger(path, nil); !errors.Is(err, ErrLedgerFinished) {
		t.Errorf("a finished run is continued: %v", err)
	}
	if _, err := CreateLedger(path, h); !errors.Is(err, ErrLedgerExists) {
		t.Errorf("a ledger is overwritten: %v", err)
	}
	stop := errors.New("stop")
	if _, err := ReadLedger(dir, func(*Entry) error { return stop }); err != stop {
		t.Errorf("the callback's error became %v", err)
	}
}

// TestLedgerCrashPoints cuts a ledger at every byte. What is left must be the
// state of the last complete write, and the run must go on from it.
func TestLedgerCrashPoints(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.ledger")
	entries, steps := writeRandom(t, newRand(t), path, 12, true)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "cut.ledger")
	for size := range len(whole) + 1 {
		for _, tail := range [][]byte{nil, make([]byte, 50)} {
			want := -1
			// What was cut off may have been zeros: then it is back.
			whole, size := whole, size
			for len(tail) > 0 && size < len(whole) && whole[size] == 0 {
				size, tail = size+1, tail[1:]
			}
			for i, s := range steps {
				if s.size <= int64(size) {
					want = i
				}
			}
			checkCut(t, cut, append(bytes.Clone(whole[:size]), tail...), entries, steps, want, size)
		}
	}
}

// readBytes reads a ledger without a file.
func readBytes(b []byte, fn func(*Entry) error) (*LedgerFile, error) {
	r := &ledgerReader{path: "bytes", src: bytes.NewReader(b), size: int64(len(b))}
	if err := r.readHeader(); err != nil {
		return nil, err
	}
	return r.read(fn)
}

func checkCut(t *testing.T, path string, b []byte, entries []Entry, steps []ledgerStep, want, size int) {
	t.Helper()
	zeros := len(b) - size
	i := int64(0)
	f, err := readBytes(b, func(e *Entry) error {
		wantE := entries[i]
		wantE.Acked = steps[want].acked[i]
		if *e != wantE {
			t.Fatalf("cut at %d: entry %d is %+v, want %+v", size, i, *e, wantE)
		}
		i++
		return nil
	})
	if want < 0 {
		// A header cut off by the end of the file is unfinished; with
		// zeros behind it, it cannot be read.
		var damage *LedgerCorrupt
		if !errors.Is(err, ErrLedgerEmpty) && (zeros == 0 || !errors.As(err, &damage)) {
			t.Fatalf("cut at %d: %v", size, err)
		}
		return
	}
	if err != nil {
		// Zeros in the middle of a block are not a torn end, unless they
		// are all there is of it or reach its end.
		var damage *LedgerCorrupt
		if zeros == 0 || !errors.As(err, &damage) {
			t.Fatalf("cut at %d with %d zeros: %v", size, zeros, err)
		}
		return
	}
	s := steps[want]
	closed := s.closed && zeros == 0
	if i != int64(s.entries) || f.Totals.Acked != int64(len(s.acked)) || f.Totals.Complete != closed || f.Totals.Finished != closed {
		t.Fatalf("cut at %d: %d entries, totals %+v, want %d and %d", size, i, f.Totals, s.entries, len(s.acked))
	}
	if torn := int64(size+zeros) - s.size; f.TornBytes != torn {
		t.Fatalf("cut at %d: %d torn bytes, want %d", size, f.TornBytes, torn)
	}
	// Only now and then: continuing ends with a sync to the disk.
	if !closed && size%31 == 0 {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		checkResume(t, path, s)
	}
}

// checkResume continues a cut ledger, finishes everything and reads it back.
func checkResume(t *testing.T, path string, s ledgerStep) {
	t.Helper()
	w, state, err := ResumeLedger(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	more := Entry{Kind: Unique, ID: ID{1}, Device: 3, Sequence: 9, CreatedAt: 5}
	i, err := w.Append(&more)
	if err != nil || i != int64(s.entries) {
		t.Fatalf("index %d, %v, want %d", i, err, s.entries)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, d := range state.InDoubt {
		if s.acked[d.Index] || d.Kind == Malformed {
			t.Fatalf("entry %d is not in doubt", d.Index)
		}
		w.Acked(d.Index)
	}
	w.Acked(i)
	if err := w.Close(0, true); err != nil {
		t.Fatal(err)
	}
	unique := int64(0)
	f, err := ReadLedgerFile(path, func(e *Entry) error {
		if e.Kind == Unique {
			unique++
			if !e.Acked {
				return fmt.Errorf("%+v is not acknowledged", e)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if unique != state.UniqueEntries+1 || f.Totals.Unique != unique || f.Totals.Retried != int64(len(state.InDoubt)) ||
		!f.Totals.Finished || f.Totals.Sent != int64(s.entries)+1 || f.Continued != min(s.entries, 1) {
		t.Fatalf("after continuing: %d unique, %+v", unique, f.Totals)
	}
}

// TestLedgerDamage flips every bit of a ledger. It must never go unnoticed,
// except as an unfinished last write.
func TestLedgerDamage(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.ledger")
	_, steps := writeRandom(t, newRand(t), path, 6, true)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lastBlock := int(steps[len(steps)-2].size)
	for i := range len(whole) * 8 {
		damaged := bytes.Clone(whole)
		damaged[i/8] ^= 1 << (i % 8)
		f, err := readBytes(damaged, nil)
		var damage *LedgerCorrupt
		switch {
		case errors.As(err, &damage):
		case err == nil && i/8 >= lastBlock && f.TornBytes > 0 && !f.Totals.Complete:
		default:
			t.Fatalf("bit %d of byte %d of %d: %v, %+v", i%8, i/8, len(whole), err, f)
		}
	}
}

func TestReadLedgerMerges(t *testing.T) {
	write := func(dir, name string, change func(*LedgerHeader)) {
		t.Helper()
		h := testHeader()
		h.Instances = 3
		change(&h)
		w, err := CreateLedger(filepath.Join(dir, name+LedgerSuffix), h)
		if err != nil {
			t.Fatal(err)
		}
		e := Entry{Device: uint32(h.Instance)}
		if _, err := w.Append(&e); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(1, true); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if _, err := ReadLedger(dir, nil); !errors.Is(err, ErrNoLedger) {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := ReadLedger(filepath.Join(dir, "none"), nil); !errors.Is(err, ErrNoLedger) {
		t.Errorf("no folder: %v", err)
	}
	write(dir, "a", func(h *LedgerHeader) { h.Instance = 2 })
	write(dir, "b", func(h *LedgerHeader) { h.Instance = 0 })
	var devices []uint32
	info, err := ReadLedger(dir, func(e *Entry) error { devices = append(devices, e.Device); return nil })
	if err != nil || !reflect.DeepEqual(devices, []uint32{0, 2}) || !reflect.DeepEqual(info.Missing, []int{1}) ||
		info.Totals.Sent != 2 || info.Totals.Offered != 4 || info.Totals.Complete {
		t.Fatalf("%v, devices %v, %+v", err, devices, info)
	}
	// A simulator that died while creating its ledger is a missing one.
	if err := os.WriteFile(filepath.Join(dir, "c.ledger"), []byte("MRLED"), 0o644); err != nil {
		t.Fatal(err)
	}
	if info, err = ReadLedger(dir, nil); err != nil || len(info.Missing) != 1 {
		t.Fatalf("%v, %+v", err, info)
	}
	for name, change := range map[string]func(*LedgerHeader){
		"same instance":  func(h *LedgerHeader) { h.Instance = 2 },
		"other run":      func(h *LedgerHeader) { h.Instance, h.Run = 1, "r2" },
		"other seed":     func(h *LedgerHeader) { h.Instance, h.Seed = 1, 4 },
		"other split":    func(h *LedgerHeader) { h.Instance, h.Instances = 1, 4 },
		"other settings": func(h *LedgerHeader) { h.Instance, h.Settings = 1, nil },
	} {
		write(dir, "z", change)
		if _, err := ReadLedger(dir, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if err := os.Remove(filepath.Join(dir, "z.ledger")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLedgerInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.ledger")
	w, err := CreateLedger(path, testHeader())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ResumeLedger(path, nil); !errors.Is(err, ErrLedgerInUse) {
		t.Errorf("two writers: %v", err)
	}
	if err := w.Close(0, false); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(0, false); err != nil {
		t.Errorf("closing again: %v", err)
	}
	if err := w.FlushAcks(); err == nil {
		t.Error("a closed ledger is written")
	}
	w, _, err = ResumeLedger(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(0, true); err != nil {
		t.Error(err)
	}
}

func TestLedgerRefuses(t *testing.T) {
	w, err := CreateLedger(filepath.Join(t.TempDir(), "a.ledger"), testHeader())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []Entry{{Kind: Unique, Sequence: -1}, {Kind: Malformed, Reason: "odd"}, {Kind: 3}} {
		if _, err := w.Append(&e); err == nil {
			t.Errorf("%+v is accepted", e)
		}
	}
	// After a failed write nothing more is accepted: an event that the
	// ledger does not know must not be sent.
	_ = w.file.Close()
	if _, err := w.Append(&Entry{}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Flush(); err == nil {
			t.Error("a write to a closed file succeeded")
		}
	}
	if _, err := CreateLedger(filepath.Join(t.TempDir(), "a.ledger"), LedgerHeader{Instance: 2, Instances: 2}); err == nil {
		t.Error("instance 2 of 0 to 1 is accepted")
	}
}

// TestLedgerConcurrentAcks acknowledges from several goroutines while another
// appends; the race detector watches.
func TestLedgerConcurrentAcks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.ledger")
	w, err := CreateLedger(path, testHeader())
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan int64, 1000)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range sent {
				w.Acked(i)
				if i%97 == 0 {
					if err := w.FlushAcks(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	const count = 50000
	for n := 0; n < count; {
		var batch []int64
		for range 500 {
			i, err := w.Append(&Entry{Sequence: int64(n)})
			if err != nil {
				t.Fatal(err)
			}
			batch = append(batch, i)
			n++
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		for _, i := range batch {
			sent <- i
		}
	}
	close(sent)
	wg.Wait()
	if err := w.Close(0, true); err != nil {
		t.Fatal(err)
	}
	f, err := ReadLedgerFile(path, nil)
	if err != nil || f.Totals.Acked != count {
		t.Fatalf("%v, %+v", err, f)
	}
}

func TestLedgerSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.ledger")
	h := testHeader()
	w, err := CreateLedger(path, h)
	if err != nil {
		t.Fatal(err)
	}
	const count = 100000
	for n := range count {
		i, err := w.Append(&Entry{ID: ID{byte(n)}, Fingerprint: uint64(n) << 40, Device: uint32(n % 1000), Sequence: int64(n / 1000),
			CreatedAt: h.StartedAt + int64(n)*100})
		if err != nil {
			t.Fatal(err)
		}
		if n%20 == 19 {
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			for k := range int64(20) {
				w.Acked(i - k)
			}
		}
	}
	if err := w.Close(0, true); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	// 20 entries to a write is what 10,000 events a second make.
	if per := float64(info.Size()) / count; per > 40 {
		t.Errorf("%.1f bytes an event", per)
	}
}

func BenchmarkLedger(b *testing.B) {
	w, err := CreateLedger(filepath.Join(b.TempDir(), "a.ledger"), testHeader())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	e := Entry{CreatedAt: 1767322800000000}
	n := int64(0)
	for b.Loop() {
		e.CreatedAt++
		i, err := w.Append(&e)
		if err != nil {
			b.Fatal(err)
		}
		if n++; n%500 == 0 {
			if err := w.Flush(); err != nil {
				b.Fatal(err)
			}
			for k := range int64(500) {
				w.Acked(i - k)
			}
		}
	}
	if err := w.Close(0, true); err != nil {
		b.Fatal(err)
	}
}
