package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"millrace/connector"
	"millrace/record"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The headers of a result's record.
const (
	headerFrom = "from" // input partition/offset
	headerNext = "next" // the position after the transaction, on its last record
)

// claim is the ownership of one input partition, and the transactional
// producer that goes with it.
type claim struct {
	s         *store
	partition int32
	txn       transaction

	// mu is held by the Write that works on the partition.
	mu       sync.Mutex
	position int64 // connector.Unknown: nothing was ever stored
	outEnd   int64 // where the next owner need not look before
	last     connector.Advance
	// open says that the cluster may have an open transaction; if
	// committing is not nil, its commit was sent.
	open       bool
	committing *connector.Advance
	scratch    []byte
}

// out is where a claim's results, and its positions, are appended: the same
// partition number in two topics.
func (c *claim) out() int32 { return c.partition % int32(c.s.cfg.Partitions) }

// begin fences earlier owners.
func (s *store) begin(ctx context.Context, p int32) (*claim, error) {
	c := &claim{s: s, partition: p}
	c.txn = transaction{s: s, partition: p, id: fmt.Sprintf("millrace-%s-%d", s.topic, p)}
	return c, c.txn.init(ctx)
}

// load reads the partition's position.
func (c *claim) load(ctx context.Context) error {
	position, outFrom := connector.Unknown, int64(0)
	key := strconv.AppendInt(nil, int64(c.partition), 10)
	_, err := c.findLast(ctx, c.s.positions, 0, func(rec *kgo.Record) (bool, error) {
		if !bytes.Equal(rec.Key, key) {
			return false, nil
		}
		var err error
		position, outFrom, err = readPosition(rec)
		return true, err
	})
	if err != nil {
		return err
	}
	end, err := c.findLast(ctx, c.s.topic, outFrom, func(rec *kgo.Record) (bool, error) {
		p, _, next, err := readHeaders(rec)
		if err != nil || p != c.partition || next < 0 {
			return false, err
		}
		position = max(position, next)
		return true, nil
	})
	c.position, c.outEnd = position, end
	return err
}

// findLast looks for the last committed record from an offset on for which is
// returns true; is may be called with earlier ones before. It returns the
// partition's end.
func (c *claim) findLast(ctx context.Context, topic string, from int64, is func(*kgo.Record) (bool, error)) (int64, error) {
	r := reader{conn: c.s.conn, cl: c.s.admin.cl, topic: topic}
	first, err := r.first(ctx, c.out())
	if err != nil {
		return 0, err
	}
	// Up to the very end, not only what is stable: what was open has been
	// decided by beginning, and its markers are on their way.
	end, err := r.end(ctx, c.out())
	if err != nil {
		return 0, err
	}
	from = max(from, first)
	for window := int64(256); from < end; window *= 8 {
		found := false
		lo := max(from, end-window)
		err := r.read(ctx, c.out(), lo, end, func(f *fetched) error {
			for _, rec := range f.records {
				ok, err := is(rec)
				if err != nil {
					return fmt.Errorf("topic %s partition %d offset %d: %w", topic, c.out(), rec.Offset, err)
				}
				found = found || ok
			}
			return nil
		})
		if err != nil || found || lo == from {
			return end, err
		}
	}
	return end, nil
}

// note commits a position without results.
func (c *claim) note(ctx context.Context, position int64) error {
	c.open = true
	if err := c.txn.addPartition(ctx, c.s.positions, c.out()); err != nil {
		return err
	}
	b := newBatch(c.txn.pid, c.txn.epoch)
	key := strconv.AppendInt(nil, int64(c.partition), 10)
	b.add(key, appendPosition(nil, position, c.outEnd), nil, -1)
	if err := c.txn.produce(ctx, c.s.positions, c.out(), b); err != nil {
		return err
	}
	if err := c.txn.end(ctx, true); err != nil {
		return err
	}
	c.open = false
	return nil
}

// settle ends a transaction that an earlier call left open.
func (c *claim) settle(ctx context.Context) error {
	if !c.open {
		return nil
	}
	if c.committing == nil {
		if err := c.txn.abandon(ctx); err != nil {
			return err
		}
		c.open = false
		return nil
	}
	if err := c.txn.end(ctx, true); err != nil {
		return err
	}
	c.committed()
	return nil
}

func (c *claim) committed() {
	c.position, c.last = c.committing.To, *c.committing
	c.committing, c.open = nil, false
}

// fill appends a part's results, in a transaction that stays open.
func (p *part) fill(ctx context.Context) error {
	c := p.claim
	if len(p.results) == 0 {
		return nil // see commit
	}
	batches, err := c.batches(p)
	if err != nil {
		return err
	}
	c.open = true
	if err := c.txn.addPartition(ctx, c.s.topic, c.out()); err != nil {
		return err
	}
	for _, b := range batches {
		p.bytes += int64(len(b.buf))
		if err := c.txn.produce(ctx, c.s.topic, c.out(), b); err != nil {
			return err
		}
		b.release()
	}
	return nil
}

// batches encodes the results, cut at the size that the topic takes.
func (c *claim) batches(p *part) ([]*batch, error) {
	limit := int(c.s.cfg.MaxMessageBytes)
	var done []*batch
	var tooLarge []int
	b := newBatch(c.txn.pid, c.txn.epoch)
	for i, r := range p.results {
		c.scratch = record.AppendDocument(c.scratch[:0], r)
		size := recordSize(r.DeviceID, c.scratch)
		if batchHeaderSize+size > limit {
			tooLarge = append(tooLarge, p.items[i])
			continue
		}
		if len(b.buf)+size > limit {
			done = append(done, b)
			b = newBatch(c.txn.pid, c.txn.epoch)
		}
		next := int64(-1)
		if i == len(p.results)-1 {
			next = p.advance.To
		}
		b.add(r.DeviceID, c.scratch, r, next)
	}
	if tooLarge != nil {
		return nil, &connector.Error{Action: connector.Reject, Items: tooLarge,
			Err: fmt.Errorf("results are larger than topic %s takes (%s)", c.s.topic, c.s.cfg.MaxMessageBytes)}
	}
	return append(done, b), nil
}

// commit ends the part's transaction and with it moves the position.
func (p *part) commit(ctx context.Context) error {
	c := p.claim
	if len(p.results) == 0 {
		if err := c.note(ctx, p.advance.To); err != nil {
			return err
		}
		c.position, c.last = p.advance.To, p.advance
		return nil
	}
	c.committing = &p.advance
	if err := c.txn.end(ctx, true); err != nil {
		return err
	}
	c.committed()
	return nil
}

// appendPosition and readPosition are the value of a record in the positions
// topic: the position and the output partition's end, as two numbers.
func appendPosition(dst []byte, position, outEnd int64) []byte {
	dst = strconv.AppendInt(dst, position, 10)
	dst = append(dst, ' ')
	return strconv.AppendInt(dst, outEnd, 10)
}

func readPosition(rec *kgo.Record) (position, outEnd int64, err error) {
	a, b, ok := bytes.Cut(rec.Value, []byte{' '})
	if ok {
		if position, err = strconv.ParseInt(string(a), 10, 64); err == nil {
			outEnd, err = strconv.ParseInt(string(b), 10, 64)
		}
	}
	if !ok || err != nil || position < connector.Unknown || outEnd < 0 {
		return 0, 0, fmt.Errorf("%q is not a position", rec.Value)
	}
	return position, outEnd, nil
}

// readHeaders returns where a result came from, and the position after its
// transaction or -1.
func readHeaders(rec *kgo.Record) (partition int32, offset, next int64, err error) {
	next = -1
	found := false
	for _, h := range rec.Headers {
		switch h.Key {
		case headerFrom:
			p, o, ok := bytes.Cut(h.Value, []byte{'/'})
			n, perr := strconv.ParseInt(string(p), 10, 32)
			m, oerr := strconv.ParseInt(string(o), 10, 64)
			if !ok || perr != nil || oerr != nil || n < 0 || m < 0 {
				return 0, 0, -1, fmt.Errorf("header %s is %q, not partition/offset", headerFrom, h.Value)
			}
			partition, offset, found = int32(n), m, true
		case headerNext:
			if next, err = strconv.ParseInt(string(h.Value), 10, 64); err != nil || next < 0 {
				return 0, 0, -1, fmt.Errorf("header %s is %q, not a position", headerNext, h.Value)
			}
		}
	}
	if !found {
		return 0, 0, -1, errors.New("it was not written by this store: the header " + headerFrom + " is missing")
	}
	return partition, offset, next, nil
}
