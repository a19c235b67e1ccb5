package amqp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"
)

// What can be read can be written, and reading that gives the same once more.
// Whether bytes are a value, all three readers agree.
func FuzzReadValue(f *testing.F) {
	rnd := rand.New(rand.NewPCG(9, 10))
	for range 40 {
		f.Add(AppendValue(nil, randomValue(rnd, 0)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, rest, err := ReadValue(b)
		checked, checkErr := CheckValue(b)
		if (err == nil) != (checkErr == nil) {
			t.Fatalf("reading says %v, checking says %v", err, checkErr)
		}
		skipped, skipErr := SkipValue(b)
		if err != nil {
			return
		}
		if skipErr != nil || len(skipped) != len(rest) || len(checked) != len(rest) {
			t.Fatalf("%d bytes left after reading, %d after skipping (%v), %d after checking", len(rest), len(skipped), skipErr, len(checked))
		}
		enc := AppendValue(nil, v)
		again, rest, err := ReadValue(enc)
		if err != nil || len(rest) > 0 {
			t.Fatalf("%#v, written as %x: %v, rest %x", v, enc, err, rest)
		}
		if !bytes.Equal(AppendValue(nil, again), enc) {
			t.Fatalf("%#v became %#v", v, again)
		}
	})
}

func FuzzPerformatives(f *testing.F) {
	rnd := rand.New(rand.NewPCG(11, 12))
	for range 5 {
		for _, p := range performatives() {
			f.Add(AppendPerformative(nil, filled(rnd, p)))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, _, err := ReadPerformative(b)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("an error without a condition: %v", err)
			}
			return
		}
		enc := AppendPerformative(nil, p)
		again, rest, err := ReadPerformative(enc)
		if err != nil || len(rest) > 0 {
			t.Fatalf("%#v, written as %x: %v, rest %x", p, enc, err, rest)
		}
		if !bytes.Equal(AppendPerformative(nil, again), enc) {
			t.Fatalf("%#v became %#v", p, again)
		}
	})
}

// Whatever arrives, in whatever pieces, the Reader ends with an error and with
// frames of at most the agreed size.
func FuzzReader(f *testing.F) {
	rnd := rand.New(rand.NewPCG(13, 14))
	for i := range 10 {
		_, wire := randomFrames(rnd, i)
		f.Add(wire, uint64(i))
	}
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		const limit = 4096
		whole := NewReader(bytes.NewReader(b), limit)
		pieces := NewReader(&chunks{b, rand.New(rand.NewPCG(seed, 1))}, limit)
		for {
			one, err := whole.ReadFrame()
			two, err2 := pieces.ReadFrame()
			if (err == nil) != (err2 == nil) || !reflect.DeepEqual(one.Payload, two.Payload) && len(one.Payload)+len(two.Payload) > 0 {
				t.Fatalf("at once: %v, in pieces: %v", err, err2)
			}
			if err != nil {
				var e *Error
				if !errors.As(err, &e) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("a strange end: %v", err)
				}
				return
			}
			if len(one.Payload) > limit {
				t.Fatalf("a payload of %d bytes", len(one.Payload))
			}
			AppendFrame(nil, &one)
		}
	})
}

// seedMessages are encoded messages of several shapes.
func seedMessages(f *testing.F) [][]byte {
	official, err := officialMessage().MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	small, _ := batch(f, 3, 5)
	data := AppendData(nil, "data")
	foreign, err := hex.DecodeString("00a310616d71703a646174613a62696e617279a00161")
	if err != nil {
		f.Fatal(err)
	}
	return [][]byte{official, small, AppendBody(nil, List{"x"}), append(data, data...), append(data, foreign...), nil}
}

// A message that is accepted can be taken apart completely and put together.
func FuzzParseMessage(f *testing.F) {
	for _, b := range seedMessages(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		var m, again Message
		if err := ParseMessage(b, &m); err != nil {
			return
		}
		enc := m.Append(nil)
		if len(enc) != m.Len() {
			t.Fatalf("%d bytes, not the %d announced", len(enc), m.Len())
		}
		if err := ParseMessage(enc, &again); err != nil || !bytes.Equal(again.Append(nil), enc) {
			t.Fatalf("%x, written as %x: %v", b, enc, err)
		}
		if _, _, err := m.Data(nil); err != nil {
			t.Fatalf("the body of %x: %v", b, err)
		}
		for _, section := range [][]byte{m.DeliveryAnnotations, m.MessageAnnotations, m.ApplicationProperties, m.Footer} {
			if _, err := ReadMap(section); err != nil {
				t.Fatalf("section %x: %v", section, err)
			}
		}
		if m.Kind() == BodyValue {
			if _, err := m.Value(); err != nil {
				t.Fatalf("the value of %x: %v", b, err)
			}
		}
		// These have more rules than a list has; they must only not panic.
		_, _ = ReadHeader(m.Header)
		_, _ = ReadProperties(m.Properties)
		if !bytes.Equal(b, before) {
			t.Fatal("the message itself was changed")
		}
	})
}

func FuzzEachBatched(f *testing.F) {
	for _, b := range seedMessages(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		var m Message
		err := EachBatched(b, func(inner []byte) error {
			total += len(inner)
			_ = ParseMessage(inner, &m)
			return nil
		})
		if total > len(b) {
			t.Fatalf("%d bytes of events in a batch of %d", total, len(b))
		}
		if perr := ParseMessage(b, &m); perr == nil && err != nil && (m.Kind() == BodyData || m.Kind() == BodyNone) {
			t.Fatalf("a message of data is no batch: %v", err)
		}
	})
}

// Entries are those of the decoded map, in their order.
func FuzzEachEntry(f *testing.F) {
	for _, b := range seedMessages(f) {
		var m Message
		if err := ParseMessage(b, &m); err != nil {
			f.Fatal(err)
		}
		f.Add(m.ApplicationProperties)
		f.Add(m.MessageAnnotations)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var got Map
		err := EachEntry(b, func(key string, value []byte) error {
			FindEntry(b, key)
			v, rest, err := ReadValue(value)
			if err == nil && len(rest) > 0 {
				t.Fatalf("%d bytes behind the value of %q", len(rest), key)
			}
			got = append(got, Pair{key, v})
			return err
		})
		m, readErr := ReadMap(b)
		if err != nil || readErr != nil {
			return
		}
		if len(m) != len(got) {
			t.Fatalf("%d entries, want %d", len(got), len(m))
		}
		for i := range m {
			if k := reflect.ValueOf(m[i].Key).String(); k != got[i].Key {
				t.Fatalf("entry %d is %q, want %q", i, got[i].Key, k)
			}
			if !bytes.Equal(AppendValue(nil, m[i].Value), AppendValue(nil, got[i].Value)) {
				t.Fatalf("entry %d is %v, want %v", i, got[i].Value, m[i].Value)
			}
		}
	})
}
