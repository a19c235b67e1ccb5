package kafka

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"millrace/connector"
	"millrace/record"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// idle is a handler to which nothing is delivered.
type idle struct{}

func (idle) Assign(context.Context, []int32) (map[int32]int64, error) { return nil, nil }
func (idle) Deliver(context.Context, *record.Batch) error             { return nil }
func (idle) Revoke(context.Context, []int32, bool)                    {}

// TestQueuesShareTheBound: assignments that come one partition at a time must
// not each get the whole bound, and those that stay get what others give back.
func TestQueuesShareTheBound(t *testing.T) {
	t.Parallel()
	s := &source{log: &topicLog{topic: "t"}, handler: idle{}, owned: map[int32]*ownership{}, joined: make(chan struct{})}
	s.log.cfg.RebalanceTimeout = connector.Duration(time.Second)
	s.runCtx, s.end = context.WithCancelCause(context.Background())
	defer s.end(nil)
	var err error
	if s.cl, err = kgo.NewClient(kgo.SeedBrokers("127.0.0.1:1")); err != nil {
		t.Fatal(err)
	}
	defer s.cl.Close()
	close(s.joined)
	limits := func() (total int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, o := range s.owned {
			o.mu.Lock()
			total += o.limit
			o.mu.Unlock()
		}
		return total
	}
	for p := range int32(16) {
		s.assigned(t.Context(), nil, map[string][]int32{"t": {p}})
		if n := limits(); n > queueBytes || n < queueBytes-int(p)-1 {
			t.Errorf("with %d partitions the queues hold up to %d bytes, the bound is %d", p+1, n, queueBytes)
		}
	}
	s.revoked(t.Context(), []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}, false)
	if n := limits(); n != queueBytes {
		t.Errorf("the last partition's queue holds up to %d bytes, want %d", n, queueBytes)
	}
	s.revokeRest()
}

// TestBusyTransactionIsReported: a cluster that never ends the transaction
// before must not keep a writer busy without a word.
func TestBusyTransactionIsReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		txn := transaction{s: &store{conn: &connection{brokers: "h:1"}}}
		began := time.Now()
		err := txn.repeat(t.Context(), "beginning a transaction", func() error { return kerr.ConcurrentTransactions })
		if connector.ActionOf(err) != connector.Retry || !errors.Is(err, kerr.ConcurrentTransactions) {
			t.Errorf("got %v, want Retry", err)
		}
		if took := time.Since(began); took < busyTimeout || took > 2*busyTimeout {
			t.Errorf("it took %s", took)
		}
	})
}

// TestConfusedClusterIsAskedAgain: an unexpected error of the broker's at a
// step that another owner fences is not the worker's end, but one that stays
// is.
func TestConfusedClusterIsAskedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		txn := transaction{s: &store{conn: &connection{brokers: "h:1"}}}
		answers := []error{kerr.UnknownServerError, kerr.ConcurrentTransactions, kerr.ProducerFenced}
		err := txn.repeat(t.Context(), "committing a transaction", func() error {
			err := answers[0]
			answers = answers[1:]
			return err
		})
		if connector.ActionOf(err) != connector.Fenced {
			t.Errorf("got %v, want Fenced", err)
		}
		err = txn.repeat(t.Context(), "committing a transaction", func() error { return kerr.UnknownServerError })
		if connector.ActionOf(err) != connector.Fail || !errors.Is(err, kerr.UnknownServerError) {
			t.Errorf("got %v, want Fail", err)
		}
	})
}

// connectionDied stands for the client's own word for a connection that ended
// under a request, which it does not export.
type connectionDied struct{}

func (connectionDied) Error() string {
	return "the broker connection has died and the request will be retried on a new connection"
}
func (connectionDied) Temporary() bool { return true }

// TestUnreachableOnceReached: the same failure ends a command that never had a
// connection, and is repeated by one that had.
func TestUnreachableOnceReached(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err         error
		unreachable bool
		reached     connector.Action
	}{
		"refused":        {syscall.ECONNREFUSED, true, connector.Retry},
		"no answer":      {context.DeadlineExceeded, true, connector.Retry},
		"hung up":        {&kgo.ErrFirstReadEOF{}, true, connector.Retry},
		"died":           {connectionDied{}, true, connector.Retry},
		"loading":        {kerr.CoordinatorLoadInProgress, false, connector.Retry},
		"cancelled":      {errors.Join(syscall.ECONNREFUSED, context.Canceled), true, connector.Fail},
		"no right":       {kerr.TopicAuthorizationFailed, false, connector.Fail},
		"wrong password": {kerr.SaslAuthenticationFailed, false, connector.Fail},
	} {
		conn := &connection{brokers: "h:1"}
		if err := conn.explain(c.err, "x"); connector.ActionOf(err) != connector.Fail || isUnreachable(err) != c.unreachable {
			t.Errorf("%s at first contact: %v", name, err)
		}
		conn.reached.Store(true)
		if err := conn.explain(c.err, "x"); connector.ActionOf(err) != c.reached || isUnreachable(err) != c.unreachable {
			t.Errorf("%s later: %v", name, err)
		}
	}
}
