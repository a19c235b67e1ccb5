package process

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestSnapshotsKeepTheNewestAtOrBefore(t *testing.T) {
	t.Parallel()
	s, err := OpenSnapshots(t.TempDir(), discard)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, pos := range []int64{10, 20, 30} {
		if err := s.save("e", &pendingSnapshot{partition: 3, position: pos, state: []byte{byte(pos)}}); err != nil {
			t.Fatal(err)
		}
	}
	got := s.load("e", 3, 25)
	if len(got) != 1 || got[0].position != 20 {
		t.Fatalf("at position 25: %+v, want the one at 20 (10 has been deleted)", got)
	}
	state, err := got[0].read()
	if err != nil || !bytes.Equal(state, []byte{20}) {
		t.Fatalf("read %v, %v", state, err)
	}
	if other := s.load("another engine", 3, 25); len(other) == 1 {
		if _, err := other[0].read(); err == nil {
			t.Fatal("a snapshot of another engine was accepted")
		}
	}
}

// TestSnapshotDamage: a torn or altered file is noticed, wherever the damage.
func TestSnapshotDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := OpenSnapshots(dir, discard)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.save("engine", &pendingSnapshot{partition: 1, position: 5, state: []byte("the state")}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, snapshotName(1, 5))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		if _, _, err := decodeSnapshot(whole[:i]); err == nil {
			t.Fatalf("accepted when cut at %d", i)
		}
		bad := bytes.Clone(whole)
		bad[i] ^= 0x40
		if _, _, err := decodeSnapshot(bad); err == nil {
			t.Fatalf("accepted with byte %d altered", i)
		}
	}
}

func FuzzDecodeSnapshot(f *testing.F) {
	p := &pendingSnapshot{partition: 1, position: 5, state: []byte("state")}
	f.Add(append(encodeSnapshotHead("engine", p), p.state...))
	f.Add([]byte(snapshotMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		engine, p, err := decodeSnapshot(data)
		if err == nil && !bytes.Equal(append(encodeSnapshotHead(engine, p), p.state...), data) {
			t.Fatal("accepted, but encodes to something else")
		}
	})
}
