package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"millrace/connector/cosmosdb/local/partition"

	"github.com/cockroachdb/pebble/v2"
)

// Apply does operations on items of one logical partition, in order, all or
// none: at the first one that fails nothing was done, and all others say
// FailedDependency. A Read that is NotModified has not failed. The results are
// as many as the operations, whose failures are no error. An error means that
// it is not known what was done, unless it is ErrGone, ErrClosed, the
// context's, or about the key.
func (c *Container) Apply(ctx context.Context, key partition.Key, ops []Op) ([]OpResult, error) {
	if !key.Complete() {
		return nil, fmt.Errorf("an operation on an item needs the whole partition key: %w", partition.ErrMismatch)
	}
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	defer c.s.release()
	w := newWork(len(ops))
	defer w.free()
	for i := range ops {
		w.epks, w.ops = append(w.epks, key.Raw()), append(w.ops, &ops[i])
	}
	results := make([]OpResult, len(ops))
	if err := c.run(c.ranges[c.RangeOf(key)], w, w.order, results, undo); err != nil {
		return nil, err
	}
	return results, w.wait()
}

// ApplyEach does operations each on its own: one that fails keeps no other one
// from being done. Those of one physical range are written at once. Results and
// errors are as of Apply.
func (c *Container) ApplyEach(ctx context.Context, ops []KeyedOp) ([]OpResult, error) {
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	defer c.s.release()
	w := newWork(len(ops))
	defer w.free()
	places := make([]int, len(ops))
	for i := range ops {
		if !ops[i].Key.Complete() {
			return nil, fmt.Errorf("an operation on an item needs the whole partition key: %w", partition.ErrMismatch)
		}
		places[i] = c.RangeOf(ops[i].Key)
		w.epks, w.ops = append(w.epks, ops[i].Key.Raw()), append(w.ops, &ops[i].Op)
	}
	results := make([]OpResult, len(ops))
	same := make([]int, 0, len(ops))
	for i, place := range places {
		if place < 0 {
			continue
		}
		same = same[:0]
		for j := i; j < len(ops); j++ {
			if places[j] == place {
				same = append(same, j)
				places[j] = -1
			}
		}
		if err := c.run(c.ranges[place], w, same, results, goOn); err != nil {
			return nil, errors.Join(err, w.wait())
		}
	}
	return results, w.wait()
}

// ApplyUntil does operations on items of one physical range each on its own and
// in order, up to the first that fails: those after it are not done and say
// FailedDependency. Results and errors are as of Apply.
func (c *Container) ApplyUntil(ctx context.Context, ops []KeyedOp) ([]OpResult, error) {
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	defer c.s.release()
	w := newWork(len(ops))
	defer w.free()
	place := 0
	for i := range ops {
		if !ops[i].Key.Complete() {
			return nil, fmt.Errorf("an operation on an item needs the whole partition key: %w", partition.ErrMismatch)
		}
		at := c.RangeOf(ops[i].Key)
		if i == 0 {
			place = at
		}
		if at != place {
			return nil, fmt.Errorf("operations on several physical ranges: %w", partition.ErrMismatch)
		}
		w.epks, w.ops = append(w.epks, ops[i].Key.Raw()), append(w.ops, &ops[i].Op)
	}
	results := make([]OpResult, len(ops))
	if err := c.run(c.ranges[place], w, w.order, results, stop); err != nil {
		return nil, err
	}
	return results, w.wait()
}

func (c *Container) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.gone.Load() {
		return fmt.Errorf("container %q: %w", c.id, ErrGone)
	}
	return c.s.acquire()
}

// work is the memory of one Apply or ApplyEach.
type work struct {
	x      extract
	epks   []string
	ops    []*Op
	drafts []draft
	order  []int
	key    []byte
	read   []byte // values that were looked up
	// changed holds what the operations before have put, deleted (nil) or looked
	// up, by key. Only if there are several: the batch cannot be read.
	changed map[string][]byte
	several bool
	pending []pending
	// Keys that are looked up together, parts of wanted.
	wanted []byte
	lookup []term
}

// pending is a batch that has been applied but perhaps not written to the log.
type pending struct {
	batch *pebble.Batch
	r     *physical
	lsn   int64
}

var works = sync.Pool{New: func() any { return new(work) }}

func newWork(n int) *work {
	w := works.Get().(*work)
	w.several = false
	if n > 1 {
		w.remember()
	}
	for i := range n {
		w.order = append(w.order, i)
	}
	return w
}

// remember has what the operations put and delete kept for those after them.
func (w *work) remember() {
	w.several = true
	if w.changed == nil {
		w.changed = map[string][]byte{}
	}
}

// wait returns when everything applied is in the log.
func (w *work) wait() error {
	var errs []error
	for _, p := range w.pending {
		if err := p.batch.SyncWait(); err != nil {
			errs = append(errs, fmt.Errorf("cannot write to the store: %w", err))
			continue
		}
		p.r.acknowledge(p.lsn)
		errs = append(errs, p.batch.Close())
	}
	w.pending = w.pending[:0]
	return errors.Join(errs...)
}

func (w *work) free() {
	w.x.reset()
	if cap(w.read) > maxKept {
		w.read = nil
	}
	w.read = w.read[:0]
	clear(w.epks)
	clear(w.ops)
	clear(w.drafts)
	clear(w.changed)
	clear(w.pending)
	w.epks, w.ops, w.drafts, w.order, w.pending = w.epks[:0], w.ops[:0], w.drafts[:0], w.order[:0], w.pending[:0]
	works.Put(w)
}

// prepare reads the items of the operations, before any lock is taken.
func (w *work) prepare(set *settings, which []int) {
	w.x.reset()
	w.drafts = append(w.drafts[:0], make([]draft, len(w.ops))...)
	for _, i := range which {
		switch op := w.ops[i]; op.Kind {
		case OpCreate, OpUpsert, OpReplace:
			w.drafts[i] = w.x.prepare(set.shape, op.ID, op.Body)
		}
	}
}

// failing is what an operation that fails does to the others of a run.
type failing uint8

const (
	goOn failing = iota // nothing
	stop                // those after it are not done
	undo                // none is done
)

// run does some of the operations, all of one range, and leaves the batch in
// w.pending.
func (c *Container) run(r *physical, w *work, which []int, results []OpResult, then failing) error {
	set := c.settings.Load()
	w.prepare(set, which)
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.gone.Load() {
		return fmt.Errorf("container %q: %w", c.id, ErrGone)
	}
	if now := c.settings.Load(); now != set {
		set = now
		w.prepare(set, which)
	}
	t := c.begin(r, set, w)
	defer t.end()
	if err := t.lookUp(which); err != nil {
		return errors.Join(err, t.batch.Close())
	}
	for n, i := range which {
		if err := t.do(w.ops[i], &w.drafts[i], w.epks[i], &results[i]); err != nil {
			return errors.Join(err, t.batch.Close())
		}
		switch s := results[i].Status; {
		case then == goOn || s.Done():
		case then == stop:
			for _, j := range which[n+1:] {
				results[j] = OpResult{Status: FailedDependency}
			}
			return t.commit()
		case s != NotModified:
			failed := results[i]
			for j := range results {
				results[j] = OpResult{Status: FailedDependency}
			}
			results[i] = failed
			return t.batch.Close()
		}
	}
	return t.commit()
}

// txn is what is being done to a range, whose lock is held.
type txn struct {
	c       *Container
	r       *physical
	set     *settings
	w       *work
	batch   *pebble.Batch
	seconds uint32
	iter    *pebble.Iterator // of what was there before; see get
	given   int              // bytes of items that were asked for
	// What r will have afterwards.
	lsn, items, bytes int64
}

func (c *Container) begin(r *physical, set *settings, w *work) *txn {
	return &txn{c: c, r: r, set: set, w: w, batch: c.s.db.NewBatch(),
		seconds: max(c.s.seconds(), r.seconds), lsn: r.lsn, items: r.items, bytes: r.bytes}
}

// commit applies the batch and leaves it to w.wait to see it in the log.
func (t *txn) commit() error {
	if t.batch.Empty() {
		return t.batch.Close()
	}
	var space [64]byte
	key := appendRange(space[:0], t.c.number, kindRange, t.r.number)
	var value [24]byte
	if err := t.batch.Set(key, appendRangeValue(value[:0], t.lsn, t.items, t.bytes), nil); err != nil {
		return errors.Join(err, t.batch.Close())
	}
	if err := t.c.s.db.ApplyNoSyncWait(t.batch, pebble.Sync); err != nil {
		return fmt.Errorf("cannot write to the store: %w", err)
	}
	t.r.lsn, t.r.items, t.r.bytes, t.r.seconds = t.lsn, t.items, t.bytes, t.seconds
	t.r.show()
	t.w.pending = append(t.w.pending, pending{t.batch, t.r, t.lsn})
	return nil
}

// end gives back what the transaction has taken. The batch is not among it.
func (t *txn) end() {
	if t.iter != nil {
		_ = t.iter.Close()
	}
}

// stored is an item as it is in the store.
type stored struct {
	head
	body []byte // nil if there is none
	// live tells whether it has not expired. What has is not there for
	// anybody, but takes its keys until it is replaced or purged.
	live bool
}

// get looks a key up, with what the batch has done so far; nil if it is not
// there. The value stays until the end of the transaction.
//
// Most keys that are looked up here are not there: an iterator, other than a
// plain look-up, asks the filters of the lowest level, too, which holds nearly
// everything.
func (t *txn) get(key []byte) ([]byte, error) {
	if t.w.several {
		if v, ok := t.w.changed[string(key)]; ok {
			return v, nil
		}
	}
	if t.iter == nil {
		var err error
		if t.iter, err = t.c.s.db.NewIter(&pebble.IterOptions{KeyTypes: pebble.IterKeyTypePointsOnly, UseL6Filters: true}); err != nil {
			return nil, fmt.Errorf("cannot read the store: %w", err)
		}
	}
	if !t.iter.SeekPrefixGE(key) {
		if err := t.iter.Error(); err != nil {
			return nil, fmt.Errorf("cannot read the store: %w", err)
		}
		return nil, nil
	}
	v, err := t.iter.ValueAndErr()
	if err != nil {
		return nil, fmt.Errorf("cannot read the store: %w", err)
	}
	at := len(t.w.read)
	t.w.read = append(t.w.read, v...)
	return t.w.read[at:], nil
}

// lookUp looks up what several operations will ask for, in the order of the
// keys: the next one is often in the same table. Of items that are new their
// unique keys are asked for, too.
func (t *txn) lookUp(which []int) error {
	w := t.w
	if len(which) < 2 {
		return nil
	}
	for _, i := range which {
		if w.drafts[i].err == nil {
			w.wanted = appendItemKey(w.want(), t.c.number, w.epks[i], w.ops[i].ID)
		}
	}
	if err := t.fetch(); err != nil {
		return err
	}
	for _, i := range which {
		d := &w.drafts[i]
		if d.unique.from == d.unique.to || d.err != nil {
			continue
		}
		w.key = appendItemKey(w.key[:0], t.c.number, w.epks[i], w.ops[i].ID)
		if w.changed[string(w.key)] != nil {
			continue
		}
		for n := range t.set.shape.uniques {
			w.wanted = appendUniqueKey(w.want(), t.c.number, w.epks[i], n, w.x.hash[d.unique.from+n])
		}
	}
	return t.fetch()
}

// want begins another wanted key, which is to be appended to what it returns.
func (w *work) want() []byte {
	w.lookup = append(w.lookup, term{at: int32(len(w.wanted))})
	return w.wanted
}

// fetch looks the wanted keys up and remembers what there is.
func (t *txn) fetch() error {
	w := t.w
	defer func() { w.wanted, w.lookup = w.wanted[:0], w.lookup[:0] }()
	for i := range w.lookup {
		w.lookup[i].end = int32(len(w.wanted))
		if i+1 < len(w.lookup) {
			w.lookup[i].end = w.lookup[i+1].at
		}
	}
	key := func(k term) []byte { return w.wanted[k.at:k.end] }
	slices.SortFunc(w.lookup, func(a, b term) int { return bytes.Compare(key(a), key(b)) })
	for _, k := range w.lookup {
		v, err := t.get(key(k))
		if err != nil {
			return err
		}
		t.changed(key(k), v)
	}
	return nil
}

func (t *txn) item(epk, id string) (s stored, err error) {
	t.w.key = appendItemKey(t.w.key[:0], t.c.number, epk, id)
	v, err := t.get(t.w.key)
	if err != nil || v == nil {
		return s, err
	}
	if s.head, s.body, err = splitItem(v); err != nil {
		return stored{}, err
	}
	s.live = !s.expired(t.set.record.DefaultTTL, int64(t.seconds))
	return s, nil
}

func (t *txn) changed(key, v []byte) {
	if t.w.several {
		t.w.changed[string(key)] = v
	}
}
