package process

import (
	"errors"
	"fmt"
	"time"

	"millrace/connector"
	"millrace/record"
)

// RelayConfig is the `process` section of a solution for the relay engine.
type RelayConfig struct {
	Dedupe        DedupeConfig    `yaml:"dedupe" doc:"removal of events that the log holds more than once"`
	MaxEventBytes connector.Bytes `yaml:"maxEventBytes" doc:"larger events go to the dead letters"`
}

// DedupeConfig bounds the dedupe step.
type DedupeConfig struct {
	Horizon  connector.Duration `yaml:"horizon" doc:"how far apart, in event time, two copies of an event are recognised; 0 switches dedupe off"`
	MaxBytes connector.Bytes    `yaml:"maxBytes" doc:"memory for remembered event IDs over all partitions of one worker (about 32 bytes an event); beyond it the oldest are forgotten early"`
}

// NewRelayConfig returns the defaults.
func NewRelayConfig() *RelayConfig {
	return &RelayConfig{
		Dedupe:        DedupeConfig{Horizon: connector.Duration(10 * time.Minute), MaxBytes: 512 << 20},
		MaxEventBytes: 1 << 20,
	}
}

// Validate returns every problem.
func (c *RelayConfig) Validate() []error {
	var errs []error
	if h := c.Dedupe.Horizon.D(); h < 0 || (h > 0 && h < time.Second) {
		errs = append(errs, errors.New("dedupe.horizon: must be 0 (off) or at least 1s"))
	}
	if c.Dedupe.MaxBytes < 1<<20 {
		errs = append(errs, errors.New("dedupe.maxBytes: must be at least 1MB"))
	}
	if c.MaxEventBytes < 1 {
		errs = append(errs, errors.New("maxEventBytes: must be at least 1"))
	}
	return errs
}

// Relay is the engine that passes each event on once: decode, validate,
// enqueuedAt and processedAt, dedupe by eventId within a horizon of event
// time. It runs one task per partition, which is enough because producers key
// by device, so copies of an event share a partition.
type Relay struct {
	// OnForgotten, if set before the first task is made, is told how many
	// event IDs were forgotten before the horizon because dedupe.maxBytes
	// was reached. It is called from the tasks' goroutines.
	OnForgotten func(ids int)

	cfg        RelayConfig
	partitions int
	now        func() int64
}

// NewRelay returns a relay for a log with the given number of partitions,
// over which the dedupe memory is divided.
func NewRelay(cfg RelayConfig, partitions int) *Relay {
	return &Relay{cfg: cfg, partitions: max(partitions, 1), now: func() int64 { return time.Now().UnixMicro() }}
}

// Name implements Engine.
func (r *Relay) Name() string { return fmt.Sprintf("relay/1 horizon=%s", r.cfg.Dedupe.Horizon) }

// Lookback implements Engine.
func (r *Relay) Lookback() time.Duration { return r.cfg.Dedupe.Lookback() }

// NewTask implements Engine.
func (r *Relay) NewTask(partition int32) Task {
	t := &relayTask{r: r, partition: partition}
	t.seen = r.cfg.Dedupe.NewIDSet(r.partitions, r.OnForgotten)
	return t
}

// NewIDSet returns the memory of one of so many partitions, nil if dedupe is
// switched off. onForgotten, if not nil, is told how many IDs were forgotten
// before the horizon because the bound was reached.
func (c *DedupeConfig) NewIDSet(partitions int, onForgotten func(ids int)) *IDSet {
	if c.Horizon == 0 {
		return nil
	}
	s := newIDSet(c.Horizon.D().Microseconds(), int64(c.MaxBytes)/int64(max(partitions, 1)))
	s.onCut = onForgotten
	return s
}

// Lookback is how much of the log, in append time, holds everything that the
// dedupe step remembers. Devices may buffer, but an event cannot be appended
// before it was created, so the horizon in append time covers the horizon in
// event time; maxEarly covers clocks that run ahead.
func (c *DedupeConfig) Lookback() time.Duration {
	if c.Horizon == 0 {
		return 0
	}
	return c.Horizon.D() + time.Duration(maxEarly)*time.Microsecond
}

type relayTask struct {
	r         *Relay
	partition int32
	seen      *IDSet // nil: no dedupe
	scratch   record.Event
}

func (t *relayTask) Process(b *record.Batch, out *Output) error {
	for i := range b.Records {
		rec := &b.Records[i]
		out.Results = append(out.Results, record.Result{})
		res := &out.Results[len(out.Results)-1]
		if err := t.decode(&res.Event, rec); err != nil {
			out.Results = out.Results[:len(out.Results)-1]
			out.Dead = append(out.Dead, DeadLetter(t.partition, rec, err, t.r.now()))
			continue
		}
		if t.seen != nil && t.seen.Add(res.ID, res.CreatedAt, rec.Timestamp) {
			out.Results = out.Results[:len(out.Results)-1]
			out.Duplicates++
			continue
		}
		res.Partition, res.Offset, res.EnqueuedAt = t.partition, rec.Offset, rec.Timestamp
		res.ProcessedAt = t.r.now()
	}
	return nil
}

func (t *relayTask) Replay(b *record.Batch) error {
	if t.seen == nil {
		return nil
	}
	for i := range b.Records {
		rec := &b.Records[i]
		if t.decode(&t.scratch, rec) == nil {
			t.seen.Add(t.scratch.ID, t.scratch.CreatedAt, rec.Timestamp)
		}
	}
	return nil
}

func (t *relayTask) decode(e *record.Event, rec *record.Record) error {
	if limit := int(t.r.cfg.MaxEventBytes); len(rec.Value) > limit {
		return &record.DecodeError{Reason: record.Oversized,
			Detail: fmt.Sprintf("%d bytes, the limit is %d", len(rec.Value), limit)}
	}
	return e.Decode(rec.Value)
}

func (t *relayTask) Snapshot(dst []byte) []byte {
	if t.seen == nil {
		return dst
	}
	return t.seen.AppendState(dst)
}

// StateBytes implements Sized.
func (t *relayTask) StateBytes() int64 {
	if t.seen == nil {
		return 0
	}
	return t.seen.Bytes()
}

func (t *relayTask) Restore(state []byte) error {
	if t.seen == nil {
		return nil
	}
	return t.seen.ReadState(state)
}

// DeadLetter is an input that cannot be decoded, given up at now.
func DeadLetter(partition int32, rec *record.Record, err error, now int64) record.DeadLetter {
	d := record.DeadLetter{Partition: partition, Offset: rec.Offset, Reason: record.NotJSON,
		Detail: err.Error(), At: now, Key: rec.Key, Raw: rec.Value}
	if de, ok := errors.AsType[*record.DecodeError](err); ok {
		d.Reason = de.Reason
	}
	return d
}
