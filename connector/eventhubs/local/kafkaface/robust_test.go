package kafkaface_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"millrace/connector/eventhubs/local/hub"
	"millrace/connector/eventhubs/local/kafkaface"
	kafkalocal "millrace/connector/kafka/local"
	"millrace/internal/testservice"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchRequest asks for a partition of hub h.
func fetchRequest(offset int64, wait time.Duration) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = int32(wait.Milliseconds()), 1, 50<<20
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic = "h"
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.FetchOffset, rp.PartitionMaxBytes = offset, 50<<20
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

// A fetch that waits holds up nobody else, ends when events come, and ends with
// its client.
func TestFetchWaits(t *testing.T) {
	t.Parallel()
	logs(t, func(t *testing.T, brokers string) {
		c, ns := namespace(t, brokers, hub.Spec{Name: "h", Partitions: 1})
		s, _ := start(t, kafkaface.Options{Cluster: c, Namespace: ns.Name()})
		// A new hub may have no leader for a moment, which ends a fetch early.
		p := client(t, s.Address())
		if err := p.ProduceSync(testContext(t), &kgo.Record{Topic: "h", Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		p.Close()
		eventually(t, "the first client's connections to end", func() bool { return kafkaface.Open(s) == 0 })
		waiting, gone := dial(t, s.Address()), dial(t, s.Address())
		req := fetchRequest(1, 50*time.Second)
		for _, w := range []*wire{waiting, gone} {
			w.signIn(connectionString("x"))
			if err := w.write(w.frame(req, 11)); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "the connections to be open", func() bool { return kafkaface.Open(s) == 2 })
		_ = gone.conn.Close()
		eventually(t, "the connection of a client that left to end", func() bool { return kafkaface.Open(s) == 1 })
		p = client(t, s.Address())
		if err := p.ProduceSync(testContext(t), &kgo.Record{Topic: "h", Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		resp, err := waiting.receive(req)
		if err != nil {
			t.Fatal(err)
		}
		if part := resp.(*kmsg.FetchResponse).Topics[0].Partitions[0]; part.ErrorCode != 0 || len(part.RecordBatches) == 0 {
			t.Errorf("the answer is %+v", part)
		}
		// No sessions: a client that believes in one is told to begin anew.
		again := fetchRequest(0, 0)
		again.SessionID, again.SessionEpoch = 5, 1
		if r := waiting.request(again, 11).(*kmsg.FetchResponse); r.ErrorCode != 70 || r.SessionID != 0 {
			t.Errorf("a session is answered with %d, %d", r.ErrorCode, r.SessionID)
		}
		// Nothing there: the wait is over some time.
		if r := waiting.request(fetchRequest(2, 50*time.Millisecond), 4).(*kmsg.FetchResponse); len(r.Topics[0].Partitions[0].RecordBatches) != 0 {
			t.Errorf("the end is answered with %+v", r)
		}
	})
}

// A client that asks and does not read is cut off; a thousand idle ones and
// those that send half a request cost little and disturb nobody.
func TestClientsThatDoNothing(t *testing.T) {
	t.Parallel()
	c, ns := namespace(t, embedded(t), hub.Spec{Name: "h", Partitions: 1})
	l := &logged{}
	s, err := kafkaface.StartImpatient(context.Background(), kafkaface.Options{Cluster: c, Namespace: ns.Name(),
		Log: slog.New(slog.NewTextHandler(l, nil))}, patience, patience, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := testContext(t)
	p := client(t, s.Address())
	for range 24 {
		p.Produce(ctx, &kgo.Record{Topic: "h", Value: make([]byte, 900_000)}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	const idle = 1000
	conns := make([]*wire, idle)
	for i := range conns {
		conns[i] = dial(t, s.Address())
		switch i % 3 {
		case 0:
			conns[i].signIn(connectionString("x"))
		case 1:
			_ = conns[i].write([]byte{0, 0, 4, 0, 0, 3})
		}
	}
	eventually(t, "all connections to be open", func() bool { return kafkaface.Open(s) >= idle })
	if n := runtime.NumGoroutine() - before; n > 3*idle {
		t.Errorf("%d idle connections have %d goroutines", idle, n)
	}
	slow := dial(t, s.Address())
	slow.signIn(connectionString("x"))
	_ = slow.conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	for range 20 {
		if slow.write(slow.frame(fetchRequest(0, 0), 11)) != nil {
			break
		}
	}
	l.await(t, "does not read its answers")
	if err := p.ProduceSync(ctx, &kgo.Record{Topic: "h", Value: []byte("v")}).FirstErr(); err != nil {
		t.Error(err)
	}
	for _, w := range conns {
		_ = w.conn.Close()
	}
	eventually(t, "the connections to end", func() bool { return kafkaface.Open(s) < 10 })
}

func TestSilence(t *testing.T) {
	t.Parallel()
	c, ns := namespace(t, embedded(t), hub.Spec{Name: "h", Partitions: 1})
	l := &logged{}
	s, err := kafkaface.StartImpatient(context.Background(), kafkaface.Options{Cluster: c, Namespace: ns.Name(),
		Log: slog.New(slog.NewTextHandler(l, nil))}, 6*time.Second, 6*time.Second, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	waiting := dial(t, s.Address())
	waiting.signIn(connectionString("x"))
	req := fetchRequest(0, 12*time.Second)
	if err := waiting.write(waiting.frame(req, 11)); err != nil {
		t.Fatal(err)
	}
	signedIn := dial(t, s.Address())
	signedIn.signIn(connectionString("x"))
	mute := dial(t, s.Address())
	mute.closed("silence before sign-in")
	signedIn.closed("silence after sign-in")
	if _, err := waiting.receive(req); err != nil {
		t.Errorf("a wait of its own making was taken for silence: %v", err)
	}
	l.await(t, "idle connection")
}

// The log restarts under the endpoint: clients go on by themselves, and an
// idempotent producer's events are there once and in order.
func TestLogRestarts(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), testservice.Port(t)
	log, err := kafkalocal.Start(context.Background(), kafkalocal.Options{DataDir: dir, Port: port})
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	t.Cleanup(func() {
		if !stopped {
			_ = log.Close()
		}
	})
	c, err := hub.Open(testContext(t), hub.Options{Brokers: []string{log.Address()},
		Namespaces: []hub.NamespaceSpec{{Name: "main", Hubs: []hub.Spec{{Name: "h", Partitions: 2}}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	s, logs := start(t, kafkaface.Options{Cluster: c})
	ctx := testContext(t)
	p := client(t, s.Address(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.AlwaysRetryEOF())
	cl := client(t, s.Address(), kgo.ConsumeTopics("h"), kgo.ConsumerGroup("g"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.AlwaysRetryEOF())
	const n = 3000
	var sent sync.WaitGroup
	sent.Go(func() {
		for i := range n {
			p.Produce(ctx, &kgo.Record{Topic: "h", Partition: int32(i % 2), Value: fmt.Append(nil, i)}, func(_ *kgo.Record, err error) {
				if err != nil {
					t.Errorf("record %d: %v", i, err)
				}
			})
			time.Sleep(time.Millisecond)
		}
		if err := p.Flush(ctx); err != nil {
			t.Error(err)
		}
	})
	time.Sleep(time.Second)
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	stopped = true
	logs.await(t, "no answer from the log")
	var again *kafkalocal.Server
	eventually(t, "the log to start again", func() bool {
		again, err = kafkalocal.Start(context.Background(), kafkalocal.Options{DataDir: dir, Port: port})
		return err == nil
	})
	t.Cleanup(func() { _ = again.Close() })
	next := [2]int{0, 1}
	for seen := 0; seen < n; {
		fs := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d of %d records came", seen, n)
		}
		fs.EachRecord(func(r *kgo.Record) {
			if want := fmt.Sprint(next[r.Partition]); string(r.Value) != want {
				t.Fatalf("partition %d: %s after %s", r.Partition, r.Value, want)
			}
			next[r.Partition] += 2
			seen++
		})
	}
	sent.Wait()
	p.Close()
	cl.Close() // while there is a log to leave the group on
}

// Closing ends everything that was started.
func TestClose(t *testing.T) {
	t.Parallel()
	c, ns := namespace(t, embedded(t), hub.Spec{Name: "h", Partitions: 1})
	s, err := kafkaface.Start(context.Background(), kafkaface.Options{Cluster: c, Namespace: ns.Name()})
	if err != nil {
		t.Fatal(err)
	}
	w := dial(t, s.Address())
	w.signIn(connectionString("x"))
	_ = w.write(w.frame(fetchRequest(0, 50*time.Second), 11))
	dial(t, s.Address())
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	w.closed("a fetch")
	if n := kafkaface.Open(s); n != 0 {
		t.Errorf("%d connections are open after Close", n)
	}
	if _, err := kafkaface.Start(context.Background(), kafkaface.Options{}); err == nil {
		t.Error("it started without a cluster")
	}
	if _, err := kafkaface.Start(context.Background(), kafkaface.Options{Cluster: c, Namespace: "never"}); err == nil {
		t.Error("it started with an unknown namespace")
	}
	taken, _ := start(t, kafkaface.Options{Cluster: c})
	_, text, _ := net.SplitHostPort(taken.Address())
	port, _ := strconv.Atoi(text)
	if _, err := kafkaface.Start(context.Background(), kafkaface.Options{Cluster: c, Port: port}); err == nil {
		t.Error("it started on a port that is taken")
	}
}
