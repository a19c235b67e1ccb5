package local_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/kafka"
	"millrace/record"
)

func result(t *testing.T, p int32, offset int64) record.Result {
	r := record.Result{Partition: p, Offset: offset, EnqueuedAt: 1, ProcessedAt: 2}
	err := r.Decode(fmt.Appendf(nil, `{"eventId":"%08x-0000-4000-8000-%012x","deviceId":"d%d","deviceSequenceNumber":%d,"createdAt":"2026-01-02T03:04:05.123456Z"}`,
		p, offset, p, offset))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A transactional store whose broker is killed over and over has every result
// once.
func TestStoreOverKills(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd, addr := child(t, dir, "")
	conf := kafka.NewStoreConfig()
	conf.SetAddress(addr)
	ctx := testContext(t)
	st, err := conf.Open(ctx, connector.Env{Getenv: os.Getenv, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := st.Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd, pauses := rand.New(rand.NewPCG(seed, 0)), rand.New(rand.NewPCG(seed, 1))

	stop := make(chan struct{})
	done := make(chan map[int32]int64)
	go func() {
		var at map[int32]int64
		defer func() { done <- at }()
		for ctx.Err() == nil {
			if at == nil {
				got, err := st.Claim(ctx, "w", []int32{0, 1, 2})
				if err != nil {
					time.Sleep(20 * time.Millisecond)
					continue
				}
				at = got
			}
			select {
			case <-stop:
				return
			default:
			}
			w := &connector.Write{}
			for p, from := range at {
				a := connector.Advance{Partition: p, From: max(from, 0)}
				a.To = a.From + rnd.Int64N(50)
				if a.To == a.From {
					continue
				}
				for o := a.From; o < a.To; o++ {
					w.Results = append(w.Results, result(t, p, o))
				}
				w.Advances = append(w.Advances, a)
			}
			_, err := st.Write(ctx, w)
			for connector.ActionOf(err) == connector.Retry && ctx.Err() == nil {
				time.Sleep(20 * time.Millisecond)
				_, err = st.Write(ctx, w)
			}
			if err != nil {
				if connector.ActionOf(err) != connector.Fenced {
					t.Errorf("Write: %v", err)
				}
				at = nil // ask the store
				continue
			}
			for _, a := range w.Advances {
				at[a.Partition] = a.To
			}
		}
	}()
	for range 8 {
		time.Sleep(time.Duration(50+pauses.IntN(300)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		cmd, _ = child(t, dir, addr)
	}
	close(stop)
	at := <-done
	if at == nil {
		t.Fatal("the worker did not come to an end")
	}
	next := map[int32]int64{}
	err = st.Scan(ctx, func(s *record.Stored) error {
		if s.Offset != next[s.Partition] {
			return fmt.Errorf("partition %d: offset %d is stored, want %d", s.Partition, s.Offset, next[s.Partition])
		}
		next[s.Partition]++
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for p, to := range at {
		if next[p] != max(to, 0) {
			t.Errorf("partition %d: %d results are stored, and its position is %d", p, next[p], to)
		}
	}
	t.Logf("%v results", next)
}
