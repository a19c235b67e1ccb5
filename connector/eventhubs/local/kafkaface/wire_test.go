package kafkaface_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/connector/eventhubs/local/hub"
	"millrace/connector/eventhubs/local/kafkaface"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// wire is a client that says exactly what the test wants.
type wire struct {
	t    testing.TB
	conn net.Conn
	n    int32
}

func dial(t testing.TB, addr string) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &wire{t: t, conn: conn}
}

// frame is a request as bytes.
func (w *wire) frame(req kmsg.Request, version int16) []byte {
	w.n++
	req.SetVersion(version)
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("wire")).AppendRequest(nil, req, w.n)
}

func (w *wire) write(b []byte) error {
	_ = w.conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := w.conn.Write(b)
	return err
}

// read reads one frame.
func (w *wire) read() ([]byte, error) {
	_ = w.conn.SetReadDeadline(time.Now().Add(patience))
	var size [4]byte
	if _, err := io.ReadFull(w.conn, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	_, err := io.ReadFull(w.conn, b)
	return b, err
}

func (w *wire) try(req kmsg.Request, version int16) (kmsg.Response, error) {
	if err := w.write(w.frame(req, version)); err != nil {
		return nil, err
	}
	return w.receive(req)
}

func (w *wire) receive(req kmsg.Request) (kmsg.Response, error) {
	b, err := w.read()
	if err != nil {
		return nil, err
	}
	resp := req.ResponseKind()
	if got := int32(binary.BigEndian.Uint32(b)); got != w.n {
		w.t.Errorf("the answer is to request %d, not %d", got, w.n)
	}
	b = b[4:]
	if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		b = b[1:]
	}
	return resp, resp.ReadFrom(b)
}

func (w *wire) request(req kmsg.Request, version int16) kmsg.Response {
	w.t.Helper()
	resp, err := w.try(req, version)
	if err != nil {
		w.t.Fatalf("%s: %v", kmsg.NameForKey(req.Key()), err)
	}
	return resp
}

// closed checks that the server ends the connection.
func (w *wire) closed(what string) {
	w.t.Helper()
	if b, err := w.read(); err == nil {
		w.t.Errorf("%s is answered with %x", what, b)
	} else if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		w.t.Errorf("%s is neither answered nor refused", what)
	}
}

func (w *wire) handshake(mechanism string) *kmsg.SASLHandshakeResponse {
	w.t.Helper()
	req := kmsg.NewPtrSASLHandshakeRequest()
	req.Mechanism = mechanism
	return w.request(req, 1).(*kmsg.SASLHandshakeResponse)
}

func (w *wire) authenticate(token string) *kmsg.SASLAuthenticateResponse {
	w.t.Helper()
	req := kmsg.NewPtrSASLAuthenticateRequest()
	req.SASLAuthBytes = []byte(token)
	return w.request(req, 1).(*kmsg.SASLAuthenticateResponse)
}

func plainToken(cs string) string { return "\x00$ConnectionString\x00" + cs }

func (w *wire) signIn(cs string) {
	w.t.Helper()
	w.handshake("PLAIN")
	if resp := w.authenticate(plainToken(cs)); resp.ErrorCode != 0 {
		w.t.Fatalf("sign-in: %d %s", resp.ErrorCode, *resp.ErrorMessage)
	}
}

func topicsOf(resp kmsg.Response) (names []string) {
	for _, t := range resp.(*kmsg.MetadataResponse).Topics {
		names = append(names, *t.Topic)
	}
	return names
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	c, ns := namespace(t, embedded(t), hub.Spec{Name: "one", Partitions: 1}, hub.Spec{Name: "two", Partitions: 1})
	checked, logs := start(t, kafkaface.Options{Cluster: c, Namespace: ns.Name(), Key: testKey, KeyName: "RootManageSharedAccessKey"})
	open, _ := start(t, kafkaface.Options{Cluster: c, Namespace: ns.Name()})

	good := connectionString("127.0.0.1")
	for _, tt := range []struct {
		name, token, want string
	}{
		{"wrong key", plainToken("Endpoint=sb://x;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=bad"), "SharedAccessKey is wrong"},
		{"wrong key name", plainToken("Endpoint=sb://x;SharedAccessKeyName=other;SharedAccessKey=" + testKey), "SharedAccessKeyName"},
		{"no key", plainToken("Endpoint=sb://x;SharedAccessKeyName=other"), "lacks"},
		{"signature", plainToken("Endpoint=sb://x;SharedAccessSignature=SharedAccessSignature sr=x"), "signature"},
		{"no connection string", plainToken("secret"), "no connection string"},
		{"wrong user", "\x00user\x00" + good, "$ConnectionString"},
		{"escaped user", "\x00\\$ConnectionString\x00" + good, "$ConnectionString"},
		{"no zeros", good, "not well formed"},
	} {
		w := dial(t, checked.Address())
		w.handshake("PLAIN")
		resp := w.authenticate(tt.token)
		if resp.ErrorCode != kerr.SaslAuthenticationFailed.Code || resp.ErrorMessage == nil || !strings.Contains(strings.ToLower(*resp.ErrorMessage), strings.ToLower(tt.want)) {
			t.Errorf("%s: %d %v", tt.name, resp.ErrorCode, resp.ErrorMessage)
		}
		w.closed(tt.name)
	}
	if strings.Contains(logs.String(), testKey) || strings.Contains(logs.String(), "SharedAccessKey=bad") {
		t.Errorf("a key was logged:\n%s", logs)
	}
	logs.await(t, "refuses a sign-in", "SharedAccessKey is wrong", "client=127.0.0.1")

	w := dial(t, checked.Address())
	if resp := w.handshake("SCRAM-SHA-256"); resp.ErrorCode != kerr.UnsupportedSaslMechanism.Code || len(resp.SupportedMechanisms) != 2 {
		t.Errorf("an unknown mechanism: %+v", resp)
	}
	w.signIn(good)
	all := kmsg.NewPtrMetadataRequest()
	if got := topicsOf(w.request(all, 5)); fmt.Sprint(got) != "[one two]" {
		t.Errorf("hubs are %v", got)
	}

	// A connection string of one hub opens that hub.
	w = dial(t, checked.Address())
	w.signIn(good + ";EntityPath=two")
	if got := topicsOf(w.request(all, 5)); fmt.Sprint(got) != "[two]" {
		t.Errorf("hubs are %v", got)
	}
	one := kmsg.NewPtrMetadataRequest()
	mt := kmsg.NewMetadataRequestTopic()
	mt.Topic = kmsg.StringPtr("one")
	one.Topics = append(one.Topics, mt)
	if resp := w.request(one, 5).(*kmsg.MetadataResponse); len(resp.Topics) != 1 || resp.Topics[0].ErrorCode != kerr.TopicAuthorizationFailed.Code {
		t.Errorf("another hub is %+v", resp.Topics)
	}

	// Tokens without a header.
	for token, ok := range map[string]bool{plainToken(good): true, plainToken("x"): false} {
		w = dial(t, checked.Address())
		req := kmsg.NewPtrSASLHandshakeRequest()
		req.Mechanism = "PLAIN"
		w.request(req, 0)
		if err := w.write(append(binary.BigEndian.AppendUint32(nil, uint32(len(token))), token...)); err != nil {
			t.Fatal(err)
		}
		if b, err := w.read(); (err == nil) != ok || len(b) != 0 {
			t.Errorf("a raw token: %x, %v", b, err)
		}
		if ok {
			w.request(all, 1)
		}
	}

	// OAuth tokens only where nobody checks.
	bearer := "n,,\x01auth=Bearer abc.def.ghi\x01\x01"
	for s, code := range map[*kafkaface.Server]int16{checked: kerr.SaslAuthenticationFailed.Code, open: 0} {
		w = dial(t, s.Address())
		w.handshake("OAUTHBEARER")
		if resp := w.authenticate(bearer); resp.ErrorCode != code {
			t.Errorf("a bearer token: %d, want %d", resp.ErrorCode, code)
		}
	}
	w = dial(t, open.Address())
	w.handshake("OAUTHBEARER")
	if resp := w.authenticate("n,,\x01nothing\x01"); resp.ErrorCode != kerr.SaslAuthenticationFailed.Code {
		t.Errorf("no bearer token: %d", resp.ErrorCode)
	}
	w = dial(t, open.Address())
	if resp := w.authenticate(plainToken(good)); resp.ErrorCode != kerr.IllegalSaslState.Code {
		t.Errorf("a token without a handshake: %d", resp.ErrorCode)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	c, ns := namespace(t, embedded(t))
	s, logs := start(t, kafkaface.Options{Cluster: c, Namespace: ns.Name()})
	w := dial(t, s.Address())
	for v := range int16(4) {
		resp := w.request(kmsg.NewPtrApiVersionsRequest(), v).(*kmsg.ApiVersionsResponse)
		if resp.ErrorCode != 0 || len(resp.ApiKeys) < 20 {
			t.Errorf("version %d: %+v", v, resp)
		}
		for _, k := range resp.ApiKeys {
			switch kmsg.Key(k.ApiKey) {
			case kmsg.AddPartitionsToTxn, kmsg.AddOffsetsToTxn, kmsg.EndTxn, kmsg.TxnOffsetCommit, kmsg.DeleteRecords, kmsg.CreateACLs,
				kmsg.AlterConfigs, kmsg.IncrementalAlterConfigs, kmsg.CreatePartitions:
				t.Errorf("%s is offered", kmsg.NameForKey(k.ApiKey))
			}
		}
	}
	// Too new: an answer in the oldest form, and the connection lives on.
	for _, v := range []int16{4, 5, 100} {
		req := kmsg.NewPtrApiVersionsRequest()
		if err := w.write(w.frame(req, v)); err != nil {
			t.Fatal(err)
		}
		b, err := w.read()
		if err != nil {
			t.Fatal(err)
		}
		resp := kmsg.NewPtrApiVersionsResponse()
		if err := resp.ReadFrom(b[4:]); err != nil || resp.ErrorCode != kerr.UnsupportedVersion.Code || len(resp.ApiKeys) < 20 {
			t.Errorf("version %d: %+v, %v", v, resp, err)
		}
	}
	if err := w.write(w.frame(kmsg.NewPtrMetadataRequest(), 5)); err != nil {
		t.Fatal(err)
	}
	w.closed("a request without sign-in")
	logs.await(t, "Metadata", "without having signed in")
	for _, tt := range []struct {
		req     kmsg.Request
		version int16
		logged  string
	}{
		{kmsg.NewPtrDeleteRecordsRequest(), 0, "DeleteRecords, which is not offered"},
		{kmsg.NewPtrFetchRequest(), 13, "Fetch version 13"},
		{kmsg.NewPtrProduceRequest(), 2, "Produce version 2"},
	} {
		w := dial(t, s.Address())
		w.signIn(connectionString("x"))
		if err := w.write(w.frame(tt.req, tt.version)); err != nil {
			t.Fatal(err)
		}
		w.closed(tt.logged)
		logs.await(t, tt.logged)
	}
}

// batchOf makes a record batch of n records with values of the size.
func batchOf(t testing.TB, n, size int, change func(*kmsg.RecordBatch)) []byte {
	t.Helper()
	var records []byte
	for i := range n {
		r := kmsg.Record{OffsetDelta: int32(i), Value: bytes.Repeat([]byte{'v'}, size)}
		body := r.AppendTo(nil)[1:] // without the length, which was 0
		records = append(binary.AppendVarint(records, int64(len(body))), body...)
	}
	b := kmsg.RecordBatch{PartitionLeaderEpoch: -1, Magic: 2, LastOffsetDelta: int32(n - 1), FirstTimestamp: 1, MaxTimestamp: 1,
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: int32(n), Records: records}
	if change != nil {
		change(&b)
	}
	return sealed(&b)
}

func TestProduceRefusals(t *testing.T) {
	t.Parallel()
	c, ns := namespace(t, embedded(t), hub.Spec{Name: "h", Partitions: 2})
	s, logs := start(t, kafkaface.Options{Cluster: c, Namespace: ns.Name()})
	w := dial(t, s.Address())
	w.signIn(connectionString("x"))
	produce := func(change func(*kmsg.ProduceRequest)) *kmsg.ProduceRequest {
		req := kmsg.NewPtrProduceRequest()
		req.Acks, req.TimeoutMillis = -1, 100
		rt := kmsg.NewProduceRequestTopic()
		rt.Topic = "h"
		rp := kmsg.NewProduceRequestTopicPartition()
		rp.Records = batchOf(t, 1, 10, nil)
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		if change != nil {
			change(req)
		}
		return req
	}
	records := func(b []byte) func(*kmsg.ProduceRequest) {
		return func(r *kmsg.ProduceRequest) { r.Topics[0].Partitions[0].Records = b }
	}
	codec := func(n int16) func(*kmsg.ProduceRequest) {
		return records(batchOf(t, 1, 10, func(b *kmsg.RecordBatch) { b.Attributes = n }))
	}
	good := batchOf(t, 1, 10, nil)
	broken := bytes.Clone(good)
	broken[len(broken)-1]++
	old := bytes.Clone(good)
	old[16] = 1
	// Batches with a right checksum whose records are none.
	holding := func(n int, raw []byte) func(*kmsg.ProduceRequest) {
		return records(batchOf(t, n, 10, func(b *kmsg.RecordBatch) { b.Records = raw }))
	}
	one := good[61:]
	zipped := func(raw []byte) func(*kmsg.ProduceRequest) {
		return records(batchOf(t, 1, 10, func(b *kmsg.RecordBatch) { b.Records, b.Attributes = zip(t, raw), 1 }))
	}
	for _, tt := range []struct {
		name   string
		change func(*kmsg.ProduceRequest)
		want   *kerr.Error
	}{
		{"good", nil, nil},
		{"one acknowledgement", func(r *kmsg.ProduceRequest) { r.Acks = 1 }, nil},
		{"two acknowledgements", func(r *kmsg.ProduceRequest) { r.Acks = 2 }, kerr.InvalidRequiredAcks},
		{"transaction", func(r *kmsg.ProduceRequest) { r.TransactionID = kmsg.StringPtr("t") }, kerr.TransactionalIDAuthorizationFailed},
		{"unknown hub", func(r *kmsg.ProduceRequest) { r.Topics[0].Topic = "never" }, kerr.UnknownTopicOrPartition},
		{"the log's own topic", func(r *kmsg.ProduceRequest) { r.Topics[0].Topic = "__consumer_offsets" }, kerr.UnknownTopicOrPartition},
		{"unknown partition", func(r *kmsg.ProduceRequest) { r.Topics[0].Partitions[0].Partition = 2 }, kerr.UnknownTopicOrPartition},
		{"negative partition", func(r *kmsg.ProduceRequest) { r.Topics[0].Partitions[0].Partition = -1 }, kerr.UnknownTopicOrPartition},
		{"nothing", records(nil), kerr.CorruptMessage},
		{"checksum", records(broken), kerr.CorruptMessage},
		{"old format", records(old), kerr.UnsupportedForMessageFormat},
		{"two batches", records(append(bytes.Clone(good), good...)), kerr.InvalidRecord},
		{"snappy", codec(2), kerr.UnsupportedCompressionType},
		{"lz4", codec(3), kerr.UnsupportedCompressionType},
		{"zstd", codec(4), kerr.UnsupportedCompressionType},
		{"gzip that is none", codec(1), kerr.CorruptMessage},
		{"gzip", records(gzipped(t, 3, 10)), nil},
		{"gzip with a large event", records(gzipped(t, 1, 2<<20)), kerr.MessageTooLarge},
		{"gzip with too many events", records(gzipped(t, 66, 1<<19)), kerr.MessageTooLarge},
		{"transactional batch", records(batchOf(t, 1, 10, func(b *kmsg.RecordBatch) { b.Attributes = 1 << 4 })), kerr.InvalidRecord},
		{"control batch", records(batchOf(t, 1, 10, func(b *kmsg.RecordBatch) { b.Attributes = 1 << 5 })), kerr.InvalidRecord},
		{"no records", records(batchOf(t, 0, 0, nil)), kerr.InvalidRecord},
		{"garbage", holding(1, []byte("garbage")), kerr.InvalidRecord},
		{"empty records", holding(1, []byte{0, 0, 0}), kerr.InvalidRecord},
		{"fewer records than it says", holding(2, one), kerr.InvalidRecord},
		{"something after the records", holding(1, append(bytes.Clone(one), 1, 2, 3)), kerr.InvalidRecord},
		{"two records in one place", holding(2, append(bytes.Clone(one), one...)), kerr.InvalidRecord},
		{"gzip of garbage", zipped([]byte("\x0egarbage")), kerr.InvalidRecord},
		{"gzip with something after the records", zipped(append(bytes.Clone(one), 1, 2, 3)), kerr.InvalidRecord},
	} {
		for _, version := range []int16{3, 7, 9} {
			resp := w.request(produce(tt.change), version).(*kmsg.ProduceResponse)
			if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
				t.Errorf("%s, version %d: %+v", tt.name, version, resp)
				continue
			}
			got := resp.Topics[0].Partitions[0]
			if tt.want == nil && got.ErrorCode != 0 || tt.want != nil && got.ErrorCode != tt.want.Code {
				t.Errorf("%s, version %d: %v, want %v", tt.name, version, kerr.ErrorForCode(got.ErrorCode), tt.want)
			}
		}
	}
	logs.await(t, "refuses events", "hub=h")
	// What was taken can be read: nobody can spoil a partition for the others.
	h, err := ns.Hub(testContext(t), "h")
	if err != nil {
		t.Fatal(err)
	}
	r, err := h.Reader(testContext(t), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for n := 3 * (1 + 1 + 3); n > 0; { // the good ones above, in each version
		events, err := r.Next(testContext(t), n)
		if err != nil {
			t.Fatal(err)
		}
		n -= len(events)
	}

	// Without acknowledgements there is no answer: the next one is to the
	// next request.
	if err := w.write(w.frame(produce(func(r *kmsg.ProduceRequest) { r.Acks = 0 }), 7)); err != nil {
		t.Fatal(err)
	}
	w.request(kmsg.NewPtrMetadataRequest(), 5)
	if err := w.write(w.frame(produce(func(r *kmsg.ProduceRequest) { r.Acks = 0; r.Topics[0].Topic = "never" }), 7)); err != nil {
		t.Fatal(err)
	}
	w.closed("a refusal that cannot be told")
}

// Requests above the limit: one too large batch is answered, the rest ends the
// connection.
func TestLargeRequests(t *testing.T) {
	t.Parallel()
	c, ns := namespace(t, embedded(t), hub.Spec{Name: "h", Partitions: 2})
	s, logs := start(t, kafkaface.Options{Cluster: c, Namespace: ns.Name()})
	produce := func(sizes ...int) *kmsg.ProduceRequest {
		req := kmsg.NewPtrProduceRequest()
		req.Acks = -1
		rt := kmsg.NewProduceRequestTopic()
		rt.Topic = "h"
		for i, size := range sizes {
			rp := kmsg.NewProduceRequestTopicPartition()
			rp.Partition, rp.Records = int32(i), batchOf(t, 1, size, nil)
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
		return req
	}
	for _, version := range []int16{3, 8, 9} {
		w := dial(t, s.Address())
		w.signIn(connectionString("x"))
		for range 2 {
			resp := w.request(produce(2<<20, 10), version).(*kmsg.ProduceResponse)
			for _, p := range resp.Topics[0].Partitions {
				if p.ErrorCode != kerr.MessageTooLarge.Code {
					t.Errorf("version %d: %v", version, kerr.ErrorForCode(p.ErrorCode))
				}
			}
			if n := len(resp.Topics[0].Partitions); n != 2 {
				t.Errorf("version %d: %d partitions", version, n)
			}
		}
		if resp := w.request(produce(1_000_000), version).(*kmsg.ProduceResponse); resp.Topics[0].Partitions[0].ErrorCode != 0 {
			t.Errorf("a large event: %v", kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode))
		}
		_ = w.write(w.frame(produce(700_000, 700_000), version))
		w.closed("a request that is too large as a whole")
	}
	logs.await(t, "events that are too large", "limit=1046528")
	logs.await(t, "the request is too large", "limit=1046528", "max.request.size")

	// Other requests, and sizes that are lies.
	for name, b := range map[string][]byte{
		"a large Metadata request": append([]byte{0, 0x20, 0, 0, 0, 3, 0, 5, 0, 0, 0, 1, 0, 0}, make([]byte, 1<<16)...),
		"a gigabyte":               {0x3f, 0xff, 0xff, 0xff, 0, 0, 0, 7},
		"negative":                 {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 7},
		"no header":                {0, 0, 0, 2, 0, 0},
	} {
		w := dial(t, s.Address())
		w.signIn(connectionString("x"))
		_ = w.write(b)
		w.closed(name)
	}
	small, _ := start(t, kafkaface.Options{Cluster: c, Namespace: ns.Name(), MaxRequestBytes: 4 << 20})
	w := dial(t, small.Address())
	w.signIn(connectionString("x"))
	if resp := w.request(produce(900_000, 900_000), 9).(*kmsg.ProduceResponse); resp.Topics[0].Partitions[1].ErrorCode != 0 {
		t.Errorf("below a raised limit: %v", kerr.ErrorForCode(resp.Topics[0].Partitions[1].ErrorCode))
	}
	if resp := w.request(produce(2<<20), 9).(*kmsg.ProduceResponse); resp.Topics[0].Partitions[0].ErrorCode != kerr.MessageTooLarge.Code {
		t.Errorf("one event above 1 MB: %v", kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode))
	}
}

// Whatever comes that is not Kafka ends that connection with a line in the log,
// and nobody else notices.
func TestGarbage(t *testing.T) {
	t.Parallel()
	c, ns := namespace(t, embedded(t), hub.Spec{Name: "h", Partitions: 2})
	s, logs := start(t, kafkaface.Options{Cluster: c, Namespace: ns.Name()})
	ctx := testContext(t)
	p := client(t, s.Address())
	quit := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		for {
			select {
			case <-quit:
				return
			default:
				if err := p.ProduceSync(ctx, &kgo.Record{Topic: "h", Value: []byte("v")}).FirstErr(); err != nil {
					t.Errorf("another client: %v", err)
					return
				}
			}
		}
	})
	for text, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n":                                        "GET / HTTP",
		"AMQP\x03\x01\x00\x00":                                                     "AMQP",
		"\x16\x03\x01\x02\x00\x01\x00\x01":                                         "it speaks TLS",
		"\x00\x00\x00\x0a\x03\xe7\x00\x00\x00\x00\x00\x00\xff\xff":                 "not offered",
		"\x00\x00\x00\x0e\x00\x12\x00\x03\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff": "tags",
		"\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x00\x7f\xff":                 "client id",
		"\x00\x10\x00\x00":                                                         "before sign-in",
	} {
		w := dial(t, s.Address())
		_ = w.write([]byte(text))
		w.closed(fmt.Sprintf("%q", text))
		logs.await(t, want)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		w := dial(t, s.Address())
		if rnd.IntN(2) == 0 {
			w.signIn(connectionString("x"))
		}
		b := make([]byte, rnd.IntN(300))
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		if rnd.IntN(3) > 0 && len(b) > 14 { // a plausible header
			copy(b, []byte{0, 0, 0, byte(len(b) - 4), 0, byte(rnd.IntN(70)), 0, byte(rnd.IntN(10)), 0, 0, 0, 1, 0, 0})
		}
		_ = w.write(b)
		_ = w.conn.Close()
	}
	close(quit)
	others.Wait()
}

// The default namespace's groups have their own names in the log, which could be
// those of another namespace's.
func TestGroupsOfOthers(t *testing.T) {
	t.Parallel()
	c := open(t, embedded(t), hub.NamespaceSpec{Name: "main"}, hub.NamespaceSpec{Name: "other"})
	s, _ := start(t, kafkaface.Options{Cluster: c})
	w := dial(t, s.Address())
	w.signIn(connectionString("x"))
	for group, want := range map[string]*kerr.Error{"other.g": kerr.GroupAuthorizationFailed, "another.g": kerr.GroupIDNotFound, "": kerr.InvalidGroupID} {
		req := kmsg.NewPtrHeartbeatRequest()
		req.Group, req.MemberID = group, "m"
		if got := w.request(req, 3).(*kmsg.HeartbeatResponse).ErrorCode; got != want.Code {
			t.Errorf("group %q: %v, want %v", group, kerr.ErrorForCode(got), want)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	c, ns := namespace(t, embedded(t), hub.Spec{Name: "h", Partitions: 1})
	certificate, roots := selfSigned(t)
	s, logs := start(t, kafkaface.Options{Cluster: c, Namespace: ns.Name(), Key: testKey, TLS: &tls.Config{Certificates: []tls.Certificate{certificate}}})
	_, port, _ := net.SplitHostPort(s.Address())
	ctx := testContext(t)
	cl := client(t, "localhost:"+port, kgo.DialTLSConfig(&tls.Config{RootCAs: roots}))
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "h", Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	resp, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl)
	if err != nil || resp.Brokers[0].Host != "localhost" {
		t.Errorf("brokers are %+v, %v", resp.Brokers, err)
	}
	plain := client(t, s.Address())
	if err := plain.ProduceSync(ctx, &kgo.Record{Topic: "h", Value: []byte("v")}).FirstErr(); err != nil {
		t.Errorf("without TLS on the same port: %v", err)
	}
	if _, err := tls.Dial("tcp", s.Address(), &tls.Config{RootCAs: roots, ServerName: "elsewhere"}); err == nil {
		t.Error("a wrong name was accepted")
	}
	logs.await(t, "TLS handshake")
}

func TestAdvertise(t *testing.T) {
	t.Parallel()
	c, ns := namespace(t, embedded(t))
	s, _ := start(t, kafkaface.Options{Cluster: c, Namespace: ns.Name(), Advertise: "hubs.example:19092"})
	w := dial(t, s.Address())
	w.signIn(connectionString("x"))
	b := w.request(kmsg.NewPtrMetadataRequest(), 5).(*kmsg.MetadataResponse).Brokers
	if len(b) != 1 || b[0].Host != "hubs.example" || b[0].Port != 19092 || b[0].NodeID != 0 {
		t.Errorf("brokers are %+v", b)
	}
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorKey = "g"
	if r := w.request(find, 2).(*kmsg.FindCoordinatorResponse); r.ErrorCode != 0 || r.Host != "hubs.example" || r.Port != 19092 {
		t.Errorf("the coordinator is %+v", r)
	}
	find.CoordinatorType = 1
	if r := w.request(find, 2).(*kmsg.FindCoordinatorResponse); r.ErrorCode != kerr.TransactionalIDAuthorizationFailed.Code {
		t.Errorf("the transaction coordinator is %+v", r)
	}
	if d := w.request(kmsg.NewPtrDescribeClusterRequest(), 0).(*kmsg.DescribeClusterResponse); len(d.Brokers) != 1 || d.Brokers[0].Port != 19092 || d.ControllerID != 0 {
		t.Errorf("the cluster is %+v", d)
	}
	for _, bad := range []string{"hubs.example", ":1", "x:70000"} {
		if s, err := kafkaface.Start(context.Background(), kafkaface.Options{Cluster: c, Advertise: bad}); err == nil {
			_ = s.Close()
			t.Errorf("%q was taken as an address", bad)
		}
	}
}
