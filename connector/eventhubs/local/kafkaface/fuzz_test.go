package kafkaface

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// framed is a request with its size, as a client sends it.
func framed(req kmsg.Request, version int16) []byte {
	req.SetVersion(version)
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("c")).AppendRequest(nil, req, 7)
}

// randomProduce makes a Produce request.
func randomProduce(r *rand.Rand, most int) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	if r.IntN(4) == 0 {
		req.TransactionID = kmsg.StringPtr("t")
	}
	req.Acks = int16(r.IntN(3) - 1)
	for range r.IntN(4) {
		rt := kmsg.NewProduceRequestTopic()
		rt.Topic = string(make([]byte, r.IntN(249)))
		for range r.IntN(5) {
			p := kmsg.NewProduceRequestTopicPartition()
			p.Partition = r.Int32()
			if r.IntN(5) > 0 {
				p.Records = make([]byte, r.IntN(most))
			}
			rt.Partitions = append(rt.Partitions, p)
		}
		req.Topics = append(req.Topics, rt)
	}
	return req
}

// FuzzRequests feeds a stream of bytes to everything that reads requests.
func FuzzRequests(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, a := range apis() {
		for v := a.min; v <= a.max; v++ {
			f.Add(framed(kmsg.RequestForKey(int16(a.key)), v))
		}
	}
	for v := range int16(7) {
		f.Add(framed(randomProduce(r, 2000), v+3))
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte{0, 0, 0, 14, 0, 18, 0, 3, 0, 0, 0, 0, 255, 255, 1, 1, 1, 1})
	s := &Server{}
	table := byKey()
	f.Fuzz(func(_ *testing.T, stream []byte) {
		const limit = 1 << 10 // small, so that outlines are read as well
		rd := bufio.NewReader(bytes.NewReader(stream))
		var buf []byte
		for {
			size, err := readSize(rd, limit)
			var large *tooLarge
			if errors.As(err, &large) {
				o, err := readOutline(rd, large)
				if err != nil {
					return
				}
				_, _ = o.refuse()
				continue
			}
			if err != nil {
				return
			}
			if buf, err = readBody(rd, buf, size); err != nil {
				return
			}
			_, _ = s.plain(buf)
			h, rest, err := readHeader(buf)
			if err != nil || h.key < 0 || int(h.key) >= len(table) || table[h.key] == nil ||
				h.version < table[h.key].min || h.version > table[h.key].max {
				continue
			}
			req := kmsg.RequestForKey(h.key)
			req.SetVersion(h.version)
			if req.IsFlexible() {
				if rest, err = skipTags(rest); err != nil {
					continue
				}
			}
			_ = s.decode(req, rest)
		}
	})
}

// FuzzBatch feeds bytes to the checks of what clients append.
func FuzzBatch(f *testing.F) {
	header := make([]byte, batchRecordsAt)
	header[batchMagicAt] = 2
	binary.BigEndian.PutUint32(header[batchCountAt:], 1)
	for _, records := range [][]byte{nil, {2, 0}, {200, 200, 200, 200, 1}, {1}} {
		for _, codec := range []byte{0, 1} {
			b := append(bytes.Clone(header), records...)
			b[batchAttributesAt+1] = codec
			binary.BigEndian.PutUint32(b[batchLengthAt:], uint32(len(b)-12))
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, no := checkBatch(b); no == nil && n < 1 {
			t.Errorf("a batch of %d events is taken", n)
		}
		if n := countEvents(b); n < 0 {
			t.Errorf("%d events", n)
		}
		if len(b) > batchRecordsAt {
			_ = checkRecords(b[batchRecordsAt:], 10)
			_ = checkGzip(b[batchRecordsAt:], 10)
		}
	})
}

// FuzzConnection feeds text to the reader of connection strings.
func FuzzConnection(f *testing.F) {
	f.Add("Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=n;SharedAccessKey=a=b=;EntityPath=h;UseDevelopmentEmulator=true")
	f.Add("Endpoint=sb://[::1]:9092;sharedaccesskeyname=n;SHAREDACCESSKEY=k")
	f.Add(";;=;Endpoint==")
	f.Fuzz(func(t *testing.T, text string) {
		if cs, err := parseConnection(text); err == nil && (cs.host == "" || cs.key == "" || cs.keyName == "") {
			t.Errorf("%q was read as %+v", text, cs)
		}
	})
}

// However a request arrives, it is read as it was sent; above the limit its
// outline has its partitions and its answer can be read.
func TestRequestReader(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 500 {
		req := randomProduce(r, 5000)
		version := 3 + int16(r.IntN(7))
		raw := framed(req, version)
		var from io.Reader = bytes.NewReader(raw)
		if r.IntN(2) == 0 {
			from = iotest.OneByteReader(from)
		}
		limit := r.IntN(2 * len(raw))
		rd := bufio.NewReaderSize(from, 16)
		size, err := readSize(rd, limit)
		var large *tooLarge
		if errors.As(err, &large) {
			checkOutline(t, rd, large, req, len(raw)-4)
			continue
		}
		if err != nil || size != len(raw)-4 {
			t.Fatalf("size %d, %v", size, err)
		}
		body, err := readBody(rd, make([]byte, r.IntN(100)), size)
		if err != nil || !bytes.Equal(body, raw[4:]) {
			t.Fatalf("the body came back as %d bytes, %v", len(body), err)
		}
		h, rest, err := readHeader(body)
		if err != nil || h != (header{0, version, 7}) {
			t.Fatalf("header %+v, %v", h, err)
		}
		if version >= 9 {
			if rest, err = skipTags(rest); err != nil {
				t.Fatal(err)
			}
		}
		again := kmsg.NewPtrProduceRequest()
		again.Version = version
		if err := (&Server{}).decode(again, rest); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(framed(again, version), raw) {
			t.Fatal("the request came back as another one")
		}
	}
}

func checkOutline(t *testing.T, rd *bufio.Reader, large *tooLarge, req *kmsg.ProduceRequest, size int) {
	t.Helper()
	o, err := readOutline(rd, large)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rd.ReadByte(); err == nil || o.size != size || o.acks != req.Acks || len(o.req.Topics) != len(req.Topics) {
		t.Fatalf("the outline is %+v (%v)", o, err)
	}
	largest := 0
	for i := range req.Topics {
		if o.req.Topics[i].Topic != req.Topics[i].Topic || len(o.req.Topics[i].Partitions) != len(req.Topics[i].Partitions) {
			t.Fatalf("topic %d is outlined as %+v", i, o.req.Topics[i])
		}
		for j, p := range req.Topics[i].Partitions {
			if o.req.Topics[i].Partitions[j].Partition != p.Partition {
				t.Fatalf("partition %d is outlined as %d", p.Partition, o.req.Topics[i].Partitions[j].Partition)
			}
			largest = max(largest, len(p.Records))
		}
	}
	if o.largest != largest {
		t.Fatalf("the largest batch is outlined with %d bytes, not %d", o.largest, largest)
	}
}

// A request that lies about its lengths is refused before room is made for what
// it claims to hold.
func TestLyingRequests(t *testing.T) {
	t.Parallel()
	body := make([]byte, 1<<20)
	copy(body, []byte{0xff, 0xff, 0, 1, 0, 0, 0, 0, 0, 0x0f, 0xff, 0xf0}) // no transaction, acks, timeout, a million topics
	req := kmsg.NewPtrProduceRequest()
	req.Version = 7
	if err := (&Server{}).decode(req, body); !errors.Is(err, errParts) || req.Topics != nil {
		t.Errorf("decoded with %d topics: %v", len(req.Topics), err)
	}
	o := &tooLarge{size: 2 << 20, limit: 1 << 20}
	outlined := append([]byte{0, 0, 0, 7, 0, 0, 0, 1, 0, 0}, append(body, body...)...)
	if _, err := readOutline(bufio.NewReader(bytes.NewReader(outlined)), o); err == nil {
		t.Error("a request of a million topics was outlined")
	}
}
