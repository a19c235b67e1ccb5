package eventhubs_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/connectortest"
	"millrace/connector/eventhubs"
	"millrace/record"
)

// storeFactory makes stores in hubs of their own at a service.
func storeFactory(address string) connectortest.StoreFactory {
	return func(t testing.TB) func(testing.TB) connector.Store {
		env := testEnv(t)
		open := func(t testing.TB) connector.Store {
			return openStore(t, address, env)
		}
		t.Cleanup(func() {
			st := open(t)
			if err := st.Drop(context.Background()); err != nil {
				t.Errorf("Drop: %v", err)
			}
			_ = st.Close()
		})
		return open
	}
}

func openStore(t testing.TB, address string, env connector.Env) connector.Store {
	t.Helper()
	c := eventhubs.NewStoreConfig()
	c.SetAddress(address)
	if errs := c.Validate(); len(errs) > 0 {
		t.Fatal(errs)
	}
	st, err := c.Open(context.Background(), env)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// storeAt is openStore, closed with the test.
func storeAt(t testing.TB, address string, env connector.Env) connector.Store {
	t.Helper()
	st := openStore(t, address, env)
	t.Cleanup(func() { _ = st.Close() })
	return st
}

func TestStore(t *testing.T) {
	connectortest.RunStore(t, connectortest.StoreFeatures{DecidesByPartition: true}, storeFactory(start(t, options{}).Address()))
}

// TestStoreLosesAnswers lets the answers to what the store sends get lost, again
// and again: every result is served once all the same.
func TestStoreLosesAnswers(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	env, ctx := testEnv(t), testContext(t)
	proxy := newProxy(t, hostOf(t, s))
	if err := storeAt(t, s.Address(), env).Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	st := storeAt(t, connectionString(proxy.address, "any"), env)
	if _, err := st.Claim(ctx, "w", []int32{0}); err != nil {
		t.Fatal(err)
	}
	const writes, each = 30, 40
	id := func(offset int64) record.ID {
		return record.ID{6: 0x40, 8: 0x80, 14: byte(offset >> 8), 15: byte(offset)}
	}
	write := func(from int64) error {
		w := &connector.Write{Advances: []connector.Advance{{Partition: 0, From: from, To: from + each}}}
		for o := from; o < from+each; o++ {
			text := fmt.Sprintf(`{"eventId":"%s","deviceId":"d","deviceSequenceNumber":%d,"createdAt":"2026-01-02T15:04:05.123456Z"}`, id(o), o)
			r := record.Result{Partition: 0, Offset: o}
			if err := r.Decode([]byte(text)); err != nil {
				return err
			}
			w.Results = append(w.Results, r)
		}
		for {
			_, err := st.Write(ctx, w)
			if connector.ActionOf(err) != connector.Retry || err == nil {
				return err
			}
		}
	}
	done := make(chan error, 1)
	go func() {
		for n := range int64(writes) {
			if err := write(n * each); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for ended := false; !ended; {
		time.Sleep(rand.N(20 * time.Millisecond))
		proxy.swallow(true)
		time.Sleep(rand.N(20 * time.Millisecond))
		proxy.swallow(false) // which ends the connections
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			ended = true
		case <-time.After(rand.N(300 * time.Millisecond)):
		}
	}
	seen := map[record.ID]bool{}
	if err := storeAt(t, s.Address(), env).Scan(ctx, func(r *record.Stored) error {
		if seen[r.ID] {
			return fmt.Errorf("offset %d is served twice", r.Offset)
		}
		seen[r.ID] = true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(seen) != writes*each {
		t.Errorf("%d results are served, want %d", len(seen), writes*each)
	}
}
