package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"millrace/connector"
	"millrace/internal/metrics"
	"millrace/process/streamanalytics/check"
	"millrace/process/streamanalytics/exec"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
	"millrace/record"
)

// head names the members that make a row an event again.
const head = "SELECT eventId, deviceId, deviceSequenceNumber, createdAt"

// queries are the queries that are measured, by the names of their cases.
var queries = map[string]string{
	"sa-relay":  "SELECT *, EventEnqueuedUtcTime AS enqueuedAt, EventProcessedUtcTime AS processedAt INTO output FROM input",
	"sa-filter": head + ", value INTO output FROM input WHERE value > 50",
	"sa-tumbling": `SELECT deviceId, System.Timestamp() AS createdAt, COUNT(*) AS n INTO output
		FROM input TIMESTAMP BY createdAt GROUP BY deviceId, TumblingWindow(second, 10)`,
	"sa-hopping": `SELECT deviceId, System.Timestamp() AS createdAt, AVG(value) AS mean INTO output
		FROM input TIMESTAMP BY createdAt GROUP BY deviceId, HoppingWindow(second, 60, 5)`,
	"sa-sliding": `SELECT deviceId, System.Timestamp() AS createdAt, COUNT(*) AS n INTO output
		FROM input TIMESTAMP BY createdAt GROUP BY deviceId, SlidingWindow(second, 1) HAVING COUNT(*) > 1000`,
	"sa-session": `SELECT deviceId, System.Timestamp() AS createdAt, COUNT(*) AS n INTO output
		FROM input TIMESTAMP BY createdAt GROUP BY deviceId, SessionWindow(second, 5, 60) OVER (PARTITION BY deviceId)`,
	"sa-join": `SELECT a.eventId, a.deviceId, a.deviceSequenceNumber, a.createdAt, b.value AS other INTO output
		FROM input a TIMESTAMP BY createdAt JOIN input b TIMESTAMP BY createdAt
		ON a.deviceId = b.deviceId AND a.deviceSequenceNumber = b.deviceSequenceNumber AND DATEDIFF(second, a, b) BETWEEN 0 AND 1`,
	"sa-topone": `SELECT deviceId, System.Timestamp() AS createdAt, TopOne() OVER (ORDER BY value DESC) AS top INTO output
		FROM input TIMESTAMP BY createdAt GROUP BY deviceId, TumblingWindow(second, 10)`,
	"sa-lag": head + `, LAG(value) OVER (PARTITION BY deviceId LIMIT DURATION(minute, 1)) AS before INTO output
		FROM input TIMESTAMP BY createdAt`,
	"sa-anomaly": head + `, AnomalyDetection_SpikeAndDip(value, 95, 60, 'spikesanddips')
		OVER (PARTITION BY deviceId LIMIT DURATION(minute, 1)) AS verdict INTO output FROM input TIMESTAMP BY createdAt`,
}

// query measures a query over the embedded log, into a store that forgets: the
// log, its client, the engine and the runtime.
func query(name string) func(context.Context, *child) (measured, error) {
	return func(ctx context.Context, c *child) (measured, error) {
		set, err := asking(c, name)
		if err != nil {
			return measured{}, err
		}
		return dropped(ctx, c, set...)
	}
}

// queryKafka measures it into the log again.
func queryKafka(name string) func(context.Context, *child) (measured, error) {
	return func(ctx context.Context, c *child) (measured, error) {
		set, err := asking(c, name)
		if err != nil {
			return measured{}, err
		}
		r, err := stages(ctx, c, "CIDP", nil, append(set, "serve.kind=kafka")...)
		if err != nil {
			return measured{}, err
		}
		return figures(r, c.events), nil
	}
}

// asking are the settings that have a query do the work.
func asking(c *child, name string) ([]string, error) {
	file := filepath.Join(c.dir, "query.asaql")
	if err := os.WriteFile(file, []byte(queries[name]), 0o600); err != nil {
		return nil, fmt.Errorf("writing the query: %w", err)
	}
	return []string{"process.kind=streamanalytics", "process.query=" + file, "process.countOnce=false"}, nil
}

func backbone(ctx context.Context, c *child) (measured, error) { return dropped(ctx, c) }

// dropped measures an engine whose results are dropped, from the first claim until
// the last event of the log has been worked on. What comes later, because
// windows close when time has passed, is waiting and not work.
func dropped(ctx context.Context, c *child, set ...string) (measured, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	store := &forgetfulStore{want: c.events, done: cancel, positions: map[int32]int64{}}
	cpu := metrics.CPUSeconds()
	_, err := stagesInto(ctx, c, store, "CIDP", nil, append(set, "serve.kind="+forgetful)...)
	store.mu.Lock()
	defer store.mu.Unlock()
	if store.ended.IsZero() {
		return measured{}, errors.Join(errors.New("not all of the log was worked on"), err)
	}
	return measured{Events: c.events, Seconds: store.ended.Sub(store.began).Seconds(), CPUSeconds: store.cpu - cpu}, nil
}

// forgetful is the kind of a store that takes everything and keeps nothing, so
// that what lies before the store is measured.
const forgetful = "forgetful"

type forgetfulConfig struct{ store *forgetfulStore }

func (*forgetfulConfig) Validate() []error { return nil }
func (*forgetfulConfig) Address() string   { return "" }
func (*forgetfulConfig) SetAddress(string) {}
func (c *forgetfulConfig) Open(context.Context, connector.Env) (connector.Store, error) {
	return c.store, nil
}

// forgetfulStore counts how far the log has been worked on.
type forgetfulStore struct {
	want int64
	done func()

	mu           sync.Mutex
	positions    map[int32]int64
	began, ended time.Time
	cpu          float64 // when it ended
}

func (*forgetfulStore) Describe() string { return "a store that keeps nothing" }
func (*forgetfulStore) Traits() connector.Traits {
	return connector.Traits{Kind: connector.AppendOnce, Writers: 2, MaxRows: 50_000, Timed: true}
}
func (*forgetfulStore) Prepare(context.Context) error { return nil }
func (s *forgetfulStore) Claim(_ context.Context, _ string, partitions []int32) (map[int32]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.began.IsZero() {
		s.began = time.Now()
	}
	positions := make(map[int32]int64, len(partitions))
	for _, p := range partitions {
		positions[p] = connector.Unknown
	}
	return positions, nil
}
func (s *forgetfulStore) Write(_ context.Context, w *connector.Write) (connector.Receipt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range w.Advances {
		s.positions[a.Partition] = a.To
	}
	sum := int64(0)
	for _, to := range s.positions {
		sum += to
	}
	if sum >= s.want && s.ended.IsZero() {
		s.ended, s.cpu = time.Now(), metrics.CPUSeconds()
		s.done()
	}
	return connector.Receipt{Stored: len(w.Results), StoredAt: time.Now().UnixMicro()}, nil
}
func (*forgetfulStore) Scan(context.Context, func(*record.Stored) error) error { return nil }
func (*forgetfulStore) Query(context.Context, string) (connector.Rows, error)  { return nil, nil }
func (*forgetfulStore) Drop(context.Context) error                             { return nil }
func (*forgetfulStore) Close() error                                           { return nil }

// stateOf measures what a count per key keeps in memory: events of so many keys
// go into a task, five each, all in one window.
func stateOf(keys int64) func(context.Context, *child) (measured, error) {
	return func(ctx context.Context, c *child) (m measured, err error) {
		script, _ := syntax.Parse(queries["sa-tumbling"])
		job, wrong := check.Check(script, check.Options{Level: value.Level12, AnyInput: true})
		if len(wrong) > 0 {
			return m, fmt.Errorf("checking the query: %w", wrong[0])
		}
		task, err := exec.New(job, exec.Options{MaxStateBytes: -1, OnRow: func(*exec.Row) error { return nil }})
		if err != nil {
			return m, fmt.Errorf("making a task: %w", err)
		}
		var raw []byte
		start, cpu := time.Now(), metrics.CPUSeconds()
		for i := range c.events {
			if err := ctx.Err(); err != nil {
				return m, err
			}
			raw = fmt.Appendf(raw[:0], `{"deviceId":"contoso://device-id-%d","createdAt":"2026-01-01T00:00:01.%06dZ"}`, i%keys, i*1_000_000/c.events)
			if err := task.Push(&exec.Event{Offset: i, Arrival: exec.NoTime, Enqueued: exec.NoTime, Raw: raw}); err != nil {
				return m, err
			}
		}
		return measured{Events: c.events, Seconds: time.Since(start).Seconds(), CPUSeconds: metrics.CPUSeconds() - cpu,
			BytesPerKey: float64(task.StateBytes()) / float64(keys)}, nil
	}
}
