package amqp

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/iotest"
)

func randomFrames(rnd *rand.Rand, n int) (frames []Frame, wire []byte) {
	for range n {
		f := Frame{Type: FrameAMQP, Channel: uint16(rnd.Uint32())}
		if rnd.IntN(8) > 0 {
			all := performatives()
			f.Body = filled(rnd, all[rnd.IntN(len(all))])
			f.Payload = make([]byte, rnd.IntN(5)*rnd.IntN(2000))
			for i := range f.Payload {
				f.Payload[i] = byte(rnd.Uint32())
			}
		}
		frames = append(frames, f)
		wire = AppendFrame(wire, &f)
	}
	return frames, wire
}

// chunks returns what it has in pieces of random size.
type chunks struct {
	b   []byte
	rnd *rand.Rand
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.b[:min(len(c.b), 1+c.rnd.IntN(40_000))])
	c.b = c.b[n:]
	return n, nil
}

func TestRandomFrames(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(5, 6))
	frames, wire := randomFrames(rnd, 400)
	for name, src := range map[string]io.Reader{
		"at once":      bytes.NewReader(wire),
		"byte by byte": iotest.OneByteReader(bytes.NewReader(wire)),
		"with the end": iotest.DataErrReader(bytes.NewReader(wire)),
		"in pieces":    &chunks{wire, rnd},
	} {
		r := NewReader(src, 1<<20)
		for i, want := range frames {
			got, err := r.ReadFrame()
			if err != nil {
				t.Fatalf("%s: frame %d: %v", name, i, err)
			}
			if got.Type != want.Type || got.Channel != want.Channel ||
				!reflect.DeepEqual(got.Body, want.Body) || !bytes.Equal(got.Payload, want.Payload) {
				t.Fatalf("%s: frame %d: %#v, want %#v", name, i, got, want)
			}
		}
		if _, err := r.ReadFrame(); !errors.Is(err, io.EOF) {
			t.Fatalf("%s: after the end: %v", name, err)
		}
	}
}

func TestOpenFrame(t *testing.T) {
	t.Parallel()
	f := Frame{Channel: 3, Body: &Transfer{Handle: 1}, Payload: []byte("payload")}
	want := AppendFrame([]byte("before"), &f)
	got, start := OpenFrame([]byte("before"), FrameAMQP, 3, f.Body)
	got = CloseFrame(append(got, "payload"...), start)
	if !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
	if b := AppendHeartbeat(nil); !bytes.Equal(b, AppendFrame(nil, &Frame{})) {
		t.Errorf("heartbeat %x", b)
	}
}

func TestReaderRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		in        []byte
		want      error
		condition Symbol
	}{
		"nothing":              {nil, io.EOF, ""},
		"half a header":        {[]byte{0, 0, 0}, io.ErrUnexpectedEOF, ""},
		"half a frame":         {[]byte{0, 0, 0, 9, 2, 0, 0, 0}, io.ErrUnexpectedEOF, ""},
		"size under 8":         {[]byte{0, 0, 0, 7, 2, 0, 0, 0}, nil, ErrorConnectionFraming},
		"data offset of 4":     {[]byte{0, 0, 0, 8, 1, 0, 0, 0}, nil, ErrorConnectionFraming},
		"data beyond the end":  {[]byte{0, 0, 0, 8, 3, 0, 0, 0}, nil, ErrorConnectionFraming},
		"unknown type":         {[]byte{0, 0, 0, 8, 2, 2, 0, 0}, nil, ErrorConnectionFraming},
		"larger than agreed":   {[]byte{0, 0, 2, 1, 2, 0, 0, 0}, nil, ErrorConnectionFraming},
		"a request of HTTP":    {[]byte("GET / HTTP/1.1\r\n"), nil, ErrorConnectionFraming},
		"garbage in the frame": {[]byte{0, 0, 0, 9, 2, 0, 0, 0, 0xff}, nil, ErrorDecode},
	} {
		_, err := NewReader(bytes.NewReader(tt.in), 0).ReadFrame()
		var e *Error
		if tt.want != nil && !errors.Is(err, tt.want) ||
			tt.condition != "" && (!errors.As(err, &e) || e.Condition != tt.condition) {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := errors.New("broken")
	if _, err := NewReader(iotest.ErrReader(broken), 0).ReadFrame(); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := NewReader(emptyReader{}, 0).ReadFrame(); !errors.Is(err, io.ErrNoProgress) {
		t.Error(err)
	}
}

type emptyReader struct{}

func (emptyReader) Read([]byte) (int, error) { return 0, nil }

// A frame may have an extended header, which is passed over.
func TestExtendedHeader(t *testing.T) {
	t.Parallel()
	in := append([]byte{0, 0, 0, 18, 3, 0, 0, 1, 9, 9, 9, 9}, 0, 0x53, 0x17, 0xc0, 1, 0)
	f, err := NewReader(bytes.NewReader(in), 0).ReadFrame()
	if err != nil || f.Channel != 1 || !reflect.DeepEqual(f.Body, &End{}) {
		t.Errorf("%#v, %v", f, err)
	}
}

func TestProtocolHeader(t *testing.T) {
	t.Parallel()
	for _, p := range []Protocol{ProtocolAMQP, ProtocolTLS, ProtocolSASL} {
		in := append(AppendProtocolHeader(nil, p), AppendHeartbeat(nil)...)
		r := NewReader(bytes.NewReader(in), 0)
		if r.Buffered() {
			t.Error("something is there before it was read")
		}
		if got, err := r.ReadProtocolHeader(); got != p || err != nil {
			t.Errorf("%d: %d, %v", p, got, err)
		}
		if !r.Buffered() {
			t.Error("the frame that came along is not seen")
		}
		if f, err := r.ReadFrame(); f.Body != nil || err != nil {
			t.Errorf("%#v, %v", f, err)
		}
		if r.Buffered() {
			t.Error("a frame is seen where none is")
		}
	}
	for _, in := range []string{"GET / HTTP/1.1", "AMQP\x00\x00\x09\x01", "AMQP\x00\x02\x00\x00", "\x16\x03\x01\x00\x00\x00\x00\x00"} {
		_, err := NewReader(bytes.NewReader([]byte(in)), 0).ReadProtocolHeader()
		var e *Error
		if !errors.As(err, &e) || e.Condition != ErrorConnectionFraming {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// What a peer claims costs nothing; what it sends is bounded by the frame size.
func TestReaderBufferIsBounded(t *testing.T) {
	t.Parallel()
	claim := []byte{0, 1, 0, 0, 2, 0, 0, 0}
	r := NewReader(bytes.NewReader(claim), 1<<20)
	if _, err := r.ReadFrame(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if len(r.buf) > firstBuffer {
		t.Errorf("a claim of 64 KB set %d bytes aside", len(r.buf))
	}
	payload := make([]byte, 60_000)
	var wire []byte
	for range 50 {
		wire = AppendFrame(wire, &Frame{Body: &Transfer{}, Payload: payload})
	}
	r = NewReader(bytes.NewReader(wire), 64<<10)
	for range 50 {
		if _, err := r.ReadFrame(); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.buf) > 2*lastBuffer {
		t.Errorf("frames of 60 KB need a buffer of %d bytes", len(r.buf))
	}
}

// The frames that come once per event cost no allocation.
func TestHotFramesDoNotAllocate(t *testing.T) {
	wire := []byte{}
	for _, body := range []any{
		&Transfer{Handle: 1, DeliveryID: new(uint32(77777)), DeliveryTag: []byte("12345678"), MessageFormat: new(uint32(0)), Settled: new(true), State: Accepted{}},
		&Flow{NextIncomingID: new(uint32(1)), Handle: new(uint32(0)), DeliveryCount: new(uint32(500)), LinkCredit: new(uint32(300)), Available: new(uint32(0))},
		&Disposition{Role: RoleReceiver, First: 1000, Last: new(uint32(2000)), Settled: true, State: Accepted{}},
	} {
		wire = AppendFrame(wire, &Frame{Body: body, Payload: []byte("payload")})
	}
	src := bytes.NewReader(nil)
	r := NewReader(src, 1<<16)
	out := make([]byte, 0, 2*len(wire))
	f := new(Frame)
	n := testing.AllocsPerRun(1000, func() {
		src.Reset(wire)
		out = out[:0]
		for range 3 {
			var err error
			if *f, err = r.ReadFrame(); err != nil {
				t.Fatal(err)
			}
			out = AppendFrame(out, f)
		}
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
	if !bytes.Equal(out, wire) {
		t.Errorf("written again as %x, want %x", out, wire)
	}
}
