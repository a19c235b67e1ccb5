package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

func FuzzReadLedger(f *testing.F) {
	dir := f.TempDir()
	for i := range 3 {
		path := filepath.Join(dir, fmt.Sprintf("%d.ledger", i))
		writeRandom(f, rand.New(rand.NewPCG(uint64(i), 1)), path, i*3, i > 0)
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		// The fuzzer cannot guess checksums: it works on the payloads, and
		// the test frames them.
		f.Add(b, false)
		f.Add(unframe(b), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, framed bool) {
		if framed {
			b = frame(b)
		}
		r := &ledgerReader{path: "fuzz", src: bytes.NewReader(b), size: int64(len(b))}
		if err := r.readHeader(); err != nil {
			return
		}
		n := int64(0)
		file, err := r.read(func(*Entry) error { n++; return nil })
		if n > int64(len(b)) || len(r.acked) > len(b) {
			t.Fatalf("%d bytes gave %d entries and %d words of bits", len(b), n, len(r.acked))
		}
		if err != nil {
			var damage *LedgerCorrupt
			if !errors.As(err, &damage) {
				t.Fatal(err)
			}
			return
		}
		got := file.Totals
		if got.Sent != n || got.Acked+got.InDoubt != n || got.Acked < 0 || got.InDoubt < 0 || file.TornBytes < 0 {
			t.Fatalf("%d entries, totals %+v", n, got)
		}
	})
}

// unframe turns a ledger file into a list of payloads: type, length, bytes.
func unframe(b []byte) (out []byte) {
	for b = b[ledgerFileHead:]; len(b) > 0; {
		n := binary.LittleEndian.Uint32(b)
		out = append(out, b[4])
		out = binary.LittleEndian.AppendUint16(out, uint16(n))
		out = append(out, b[ledgerBlockHead:ledgerBlockHead+n]...)
		b = b[ledgerBlockHead+n+ledgerBlockTail:]
	}
	return out
}

// frame makes a ledger file of such a list.
func frame(list []byte) []byte {
	r := bytes.NewReader(list)
	out := append([]byte(ledgerMagic), LedgerVersion, 0, 0, 0)
	for {
		var head [3]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return out
		}
		payload := make([]byte, binary.LittleEndian.Uint16(head[1:]))
		n, _ := io.ReadFull(r, payload)
		out = appendBlock(out, blockType(head[0]), payload[:n])
	}
}
