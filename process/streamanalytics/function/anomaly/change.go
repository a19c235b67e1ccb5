package anomaly

import (
	"encoding/binary"
	"math"
	"slices"

	"millrace/process/streamanalytics/codec"
)

// The bettors of a changePoint.
const (
	// groups is into about how many groups the reference values are divided:
	// a bet is about the group of the next value.
	groups    = 8
	maxGroups = 2*groups + 4
	// memory is how many events the quick bettor remembers; the slow one
	// remembers a quarter of the history.
	memory = 8
	// caution is how many events it takes to convince a bettor.
	caution = 4
	bettors = 2
)

// changePoint keeps the history and, of a part of it, the reference: bounds of
// groups of about the same size. If all values come from one distribution, the
// chance of the next one to fall into a group is known exactly: it is that of
// Pólya's urn, the share of the group among the reference and what came after
// it. Bettors put their money on the groups by what they saw lately, and are
// paid by those odds, so that on average they win nothing.
type changePoint struct {
	ring
	limit float64

	bounds    []float64
	reference [maxGroups]float64
	// since are the events after the reference, by group; events is their
	// number, size that of the reference, both with what the urn has at first.
	since        [maxGroups]float64
	events, size float64

	bettors [bettors]bettor
	sorted  []float64
}

// bettor has what it remembers of each group, fading by keep with every event,
// and its money. Of that, a share is put aside and bet as if the history had
// begun anew, so that it holds 1 on average and is never too poor to notice.
type bettor struct {
	keep  float64
	seen  [maxGroups]float64
	money float64
}

// NewChangePoint returns a detector of persistent anomalies. The confidence is
// in per cent, from 1 to 100; history is the number of events to learn from,
// from 2 to MaxHistory.
func NewChangePoint(confidence float64, history int) (Detector, error) {
	share, err := parameters(confidence, history)
	if err != nil {
		return nil, err
	}
	d := &changePoint{limit: 1 / share, ring: ring{max: history}}
	d.bettors[0].keep = 1 - 1.0/memory
	d.bettors[1].keep = 1 - 1/math.Max(2*memory, float64(history)/4)
	return d, nil
}

// reset forgets everything.
func (d *changePoint) reset() {
	d.first, d.n, d.bounds = 0, 0, d.bounds[:0]
	d.events, d.size = 0, 0
	for i := range d.bettors {
		d.bettors[i].money = 0
	}
}

// Expire forgets the values of times before the given one.
func (d *changePoint) Expire(before int64) {
	for d.expired(before) {
		d.pop()
	}
	if d.n == 0 {
		d.reset()
	}
}

// Size returns the bytes that the history takes.
func (d *changePoint) Size() int { return 16*cap(d.items) + 8*cap(d.sorted) + 400 }

// Add scores a value.
func (d *changePoint) Add(v float64, at int64) (bool, float64) {
	if !finite(v) {
		return false, d.score()
	}
	if d.size == 0 && d.n >= min(minTrained, d.max) || d.size > 0 && d.events >= math.Max(memory, float64(d.n)/2) {
		d.renew()
	}
	if d.size > 0 {
		d.settle(d.group(v))
	}
	score := d.score()
	if score >= d.limit {
		d.reset()
		return true, score
	}
	if d.n == d.max {
		d.pop()
	}
	d.push(v, at)
	return false, score
}

// renew makes the older part of the history the reference. The latest events
// stay out of it: if a change is under way, they are part of it.
func (d *changePoint) renew() {
	after := min(memory, d.n/4)
	size := d.n - after
	d.sorted = d.sorted[:0]
	for i := range size {
		d.sorted = append(d.sorted, d.ring.at(i).v)
	}
	slices.Sort(d.sorted)
	d.divide(d.sorted)
	d.since, d.events = [maxGroups]float64{}, 0
	for i := range d.bettors {
		d.bettors[i].seen = [maxGroups]float64{}
	}
	for i := size; i < d.n; i++ {
		d.see(d.group(d.ring.at(i).v))
	}
}

// divide makes groups of values that are in order. A value that fills a group
// by itself has one of its own, with others for what lies beside it.
func (d *changePoint) divide(values []float64) {
	size := len(values)
	each := max(2, (size+groups-1)/groups)
	d.bounds = d.bounds[:0]
	d.reference = [maxGroups]float64{}
	add := func(n int, bound float64) {
		d.reference[len(d.bounds)] = math.Max(1, float64(n))
		d.bounds = append(d.bounds, bound)
	}
	start := 0
	for start < size {
		bound := values[min(start+each, size)-1]
		low, _ := slices.BinarySearch(values, bound)
		end := low + searchAfter(values[low:], bound)
		if end-low >= each && end-low > 1 {
			add(low-start, math.Nextafter(bound, math.Inf(-1)))
			add(end-low, bound)
		} else if end < size {
			add(end-start, bound)
		} else {
			break
		}
		start = end
	}
	// The last group has the gap above all values besides. A group without
	// values gets a place in the urn that is not counted in its size: that
	// shortens all odds a little, which is on the safe side.
	d.size = float64(size)
	if start < size {
		d.size++
		d.reference[len(d.bounds)] = float64(size-start) + 1
	} else {
		d.reference[len(d.bounds)] = 1
	}
}

// searchAfter returns how many values of s, which are in order, are not above
// v.
func searchAfter(s []float64, v float64) int {
	i, _ := slices.BinarySearchFunc(s, v, func(e, v float64) int {
		if e <= v {
			return -1
		}
		return 1
	})
	return i
}

func (d *changePoint) group(v float64) int {
	i, _ := slices.BinarySearch(d.bounds, v)
	return i
}

// settle pays the bettors for an event in group g.
func (d *changePoint) settle(g int) {
	odds := (d.reference[g] + d.since[g]) / (d.size + d.events)
	begin := 1 / float64(d.max)
	for i := range d.bettors {
		b := &d.bettors[i]
		all := 0.0
		for _, s := range b.seen[:len(d.bounds)+1] {
			all += s
		}
		bet := (caution*odds + b.seen[g]) / (caution + all)
		b.money = math.Min(((1-begin)*b.money+begin)*bet/odds, math.MaxFloat64/4)
	}
	d.see(g)
}

// see remembers an event in group g.
func (d *changePoint) see(g int) {
	d.since[g]++
	d.events++
	for i := range d.bettors {
		b := &d.bettors[i]
		for k := range len(d.bounds) + 1 {
			b.seen[k] *= b.keep
		}
		b.seen[g]++
	}
}

// score is what the bettors hold, on average.
func (d *changePoint) score() float64 {
	sum := 0.0
	for i := range d.bettors {
		sum += d.bettors[i].money
	}
	return sum / bettors
}

// AppendState appends the detector's state.
func (d *changePoint) AppendState(dst []byte) []byte {
	dst = d.ring.appendState(dst)
	dst = append(dst, byte(len(d.bounds)))
	for _, b := range d.bounds {
		dst = codec.AppendFloat(dst, b)
	}
	for _, f := range d.numbers() {
		dst = codec.AppendFloat(dst, *f)
	}
	return dst
}

// numbers are the parts of the state that are numbers, none of them negative:
// the counts, then the money.
func (d *changePoint) numbers() []*float64 {
	out := []*float64{&d.events, &d.size}
	for g := range maxGroups {
		out = append(out, &d.reference[g], &d.since[g])
	}
	for i := range d.bettors {
		for g := range d.bettors[i].seen {
			out = append(out, &d.bettors[i].seen[g])
		}
	}
	for i := range d.bettors {
		out = append(out, &d.bettors[i].money)
	}
	return out
}

// ReadState replaces the detector's state.
func (d *changePoint) ReadState(b []byte) (rest []byte, err error) {
	d.reset()
	defer func() {
		if err != nil {
			d.reset()
		}
	}()
	b, err = d.ring.readState(b, d.push)
	if err != nil {
		return nil, err
	}
	numbers := d.numbers()
	if len(b) == 0 || b[0] >= maxGroups || len(b)-1 < 8*(int(b[0])+len(numbers)) {
		return nil, errState
	}
	bounds := int(b[0])
	b = b[1:]
	float := func() float64 {
		f := math.Float64frombits(binary.LittleEndian.Uint64(b))
		b = b[8:]
		return f
	}
	for range bounds {
		f := float()
		if !finite(f) || len(d.bounds) > 0 && f <= d.bounds[len(d.bounds)-1] {
			return nil, errState
		}
		d.bounds = append(d.bounds, f)
	}
	for i, p := range numbers {
		count := i < len(numbers)-bettors
		if *p = float(); !(*p >= 0 && *p <= math.MaxFloat64/4) || count && *p > 1<<53 {
			return nil, errState
		}
	}
	// The odds must be those of an urn, so that nothing is divided by zero or by
	// next to nothing.
	if d.size > 0 && d.size < 1 {
		return nil, errState
	}
	for g := range maxGroups {
		if d.size > 0 && g <= bounds && d.reference[g] < 1 {
			return nil, errState
		}
	}
	return b, nil
}
