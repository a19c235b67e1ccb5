package verify

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"millrace/connector"
	"millrace/record"
)

// Aggregate says how rows follow from events, if they are not events
// themselves: a row for each device and each window of createdAt that has
// events. What the rows must be is then recomputed from the ledger.
type Aggregate struct {
	Window  connector.Duration `yaml:"window" doc:"length of the windows of createdAt that a row stands for, for queries that group by device; 0: a row is an event"`
	Hop     connector.Duration `yaml:"hop" doc:"distance between the ends of the windows; 0: the windows' length"`
	Output  string             `yaml:"output" doc:"the query's output, which is a part of the rows' ids"`
	Columns map[string]string  `yaml:"columns" doc:"the rows' columns besides deviceId and createdAt, and what each is: count, minSequence, maxSequence, minCreatedAt or maxCreatedAt of the window's events"`
}

// The values that can be recomputed: the ledger holds of an event no more than
// its identity, its device, its number and its time.
const (
	columnCount       = "count"
	columnMinSequence = "minSequence"
	columnMaxSequence = "maxSequence"
	columnMinCreated  = "minCreatedAt"
	columnMaxCreated  = "maxCreatedAt"
)

// Windowed is about a run whose rows are windows.
type Windowed struct {
	Window, Hop time.Duration
	// Rows is the number of windows with an acknowledged event; each has to
	// be a row. InDoubt is how many have none but events in doubt, so that
	// they may be a row or not. Of windows with any event in doubt, Unsure,
	// what the row says is not judged.
	Rows, InDoubt, Unsure int64
}

// note says what is counted.
func (w *Windowed) note(events int64) string {
	every := ""
	if w.Hop != w.Window {
		every = fmt.Sprintf(" every %s", w.Hop)
	}
	text := fmt.Sprintf("these are windows of %s%s, recomputed from %d events", w.Window, every, events)
	if w.Unsure > 0 {
		text += fmt.Sprintf(" (%d of them hold events in doubt, so that what they say is not judged)", w.Unsure)
	}
	return text
}

func defaultAggregate() Aggregate {
	return Aggregate{Output: "output", Columns: map[string]string{
		"n": columnCount, "firstSequence": columnMinSequence, "lastSequence": columnMaxSequence}}
}

// validate returns every problem of the section.
func (a *Aggregate) validate() []error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("aggregate."+format, args...)) }
	for _, d := range []struct {
		name string
		v    time.Duration
	}{{"window", a.Window.D()}, {"hop", a.Hop.D()}} {
		if d.v < 0 || d.v%time.Microsecond != 0 {
			bad("%s: must be whole microseconds, and not negative", d.name)
		}
	}
	if a.Hop > a.Window {
		bad("hop: must not be longer than aggregate.window: events in between would be in no row")
	}
	if a.Window > 0 && a.Output == "" {
		bad("output: must be the name behind INTO")
	}
	for _, name := range slices.Sorted(maps.Keys(a.Columns)) {
		switch a.Columns[name] {
		case columnCount, columnMinSequence, columnMaxSequence, columnMinCreated, columnMaxCreated:
		default:
			bad("columns.%s: must be count, minSequence, maxSequence, minCreatedAt or maxCreatedAt, not %q", name, a.Columns[name])
		}
	}
	return errs
}

// bucket is a window of a device; end is in microseconds, and included.
type bucket struct {
	end    int64
	device uint32
}

// sums are what is known of the events in a bucket.
type sums struct {
	n                        int64
	minSequence, maxSequence int64
	minCreated, maxCreated   int64
	doubt                    bool
}

// aggregate replaces the events by the rows that they make, each as if it had
// been sent at its window's end.
func (j *judge) aggregate() error {
	a := &j.in.Aggregate
	if a.Window <= 0 {
		return nil
	}
	if err := j.aggregable(); err != nil {
		return err
	}
	size, hop := a.Window.D().Microseconds(), a.Hop.D().Microseconds()
	if hop == 0 {
		hop = size
	}
	v := &Windowed{Window: a.Window.D(), Hop: micros(hop)}
	j.verdict.Windowed = v
	buckets := j.buckets(size, hop)
	order := make([]bucket, 0, len(buckets))
	for b := range buckets {
		order = append(order, b)
	}
	slices.SortFunc(order, func(x, y bucket) int {
		return cmp.Or(cmp.Compare(x.end, y.end), cmp.Compare(x.device, y.device))
	})
	rows := columns{devices: j.events.devices}
	j.rowWriter = newRowWriter(a)
	j.windows = make([]sums, 0, len(order))
	for _, b := range order {
		s := buckets[b]
		id, text := j.rowWriter.row(rows.devices[b.device], b.end, s)
		fingerprint, err := record.Fingerprint(text)
		if err != nil {
			return fmt.Errorf("making the row that is expected of %s: %w", rows.devices[b.device], err)
		}
		i := rows.add(id, fingerprint, b.device, b.end, b.end, s.n > 0)
		j.windows = append(j.windows, *s)
		if s.n > 0 {
			v.Rows++
		} else {
			v.InDoubt++
		}
		if s.doubt {
			v.Unsure++
			k, slot := rows.at(i)
			k.state[slot] |= stUnsure
		}
	}
	j.events = rows
	if x, y, clash := j.events.build(); clash {
		return fmt.Errorf("two of the rows that are expected have the same id: %s and %s", j.exampleOf("", x).EventID, j.exampleOf("", y).EventID)
	}
	return nil
}

// aggregable fails if the rows cannot be known from the ledger.
func (j *judge) aggregable() error {
	if j.in.RawScan != nil {
		return errors.New("verify.aggregate is for stores of a query's rows, and the store is a raw archive")
	}
	for i := range j.files {
		for _, name := range []string{"late", "outOfOrder"} {
			if s := j.files[i].Header.Settings[name]; s != "" && s != "0" {
				return &connector.Hinted{Hint: "run it without simulate." + name,
					Err: fmt.Errorf("the run had devices that sent late or out of order on purpose (simulate.%s is %s): in which window an event counts is then a matter of the query's policies, which the ledger does not know", name, s)}
			}
		}
	}
	return nil
}

// buckets adds the events up. A window holds what lies behind its start, up to
// and with its end; ends are whole multiples of the hop since the Unix epoch.
func (j *judge) buckets(size, hop int64) map[bucket]*sums {
	buckets := make(map[bucket]*sums)
	for i := range j.events.n {
		k, s := j.events.at(i)
		t := k.createdAt[s]
		end := t - t%hop
		if t%hop > 0 {
			end += hop
		}
		for ; end-size < t; end += hop {
			b := bucket{end, k.device[s]}
			sum := buckets[b]
			if sum == nil {
				sum = new(sums)
				buckets[b] = sum
			}
			if k.state[s]&stAcked == 0 {
				sum.doubt = true
				continue
			}
			sum.add(j.events.sequenceAt(i), t)
		}
	}
	return buckets
}

func (s *sums) add(sequence, createdAt int64) {
	if s.n++; s.n == 1 {
		s.minSequence, s.maxSequence, s.minCreated, s.maxCreated = sequence, sequence, createdAt, createdAt
		return
	}
	s.minSequence, s.maxSequence = min(s.minSequence, sequence), max(s.maxSequence, sequence)
	s.minCreated, s.maxCreated = min(s.minCreated, createdAt), max(s.maxCreated, createdAt)
}

// expected is the row that window i must be, for people.
func (j *judge) expected(i uint32) string {
	k, s := j.events.at(i)
	_, text := j.rowWriter.row(j.events.devices[k.device[s]], k.createdAt[s], &j.windows[i])
	return string(text)
}

// rowWriter makes expected rows, by the rule of docs/formats/rows.md. Its memory
// is used for one after the other.
type rowWriter struct {
	a     *Aggregate
	names []string // of the columns, in order
	text  []byte
}

func newRowWriter(a *Aggregate) *rowWriter {
	return &rowWriter{a: a, names: slices.Sorted(maps.Keys(a.Columns))}
}

// rowID is the id of a row: its parts, each with its length in front, hashed.
func rowID(parts ...string) (id record.ID) {
	var text []byte
	for _, p := range parts {
		text = fmt.Appendf(text, "%d:%s,", len(p), p)
	}
	sum := sha256.Sum256(text)
	copy(id[:], sum[:16])
	id[6], id[8] = 0x80|id[6]%16, 0x80|id[8]%64
	return id
}

// stamp is a time as the engine writes those of its own, to 100 ns.
func stamp(us int64) string { return time.UnixMicro(us).UTC().Format("2006-01-02T15:04:05.0000000Z") }

func (w *rowWriter) row(device string, end int64, s *sums) (record.ID, []byte) {
	if device == "" {
		device = w.a.Output
	}
	id := rowID(w.a.Output, device, stamp(end))
	b := append(w.text[:0], `{"eventId":"`...)
	b = record.AppendID(b, id)
	b = append(b, `","deviceId":`...)
	b = record.AppendString(b, []byte(device))
	b = fmt.Appendf(b, `,"deviceSequenceNumber":%d,"createdAt":"`, end)
	b = record.AppendTime(b, end)
	b = append(b, '"')
	for _, name := range w.names {
		b = append(b, ',')
		b = record.AppendString(b, []byte(name))
		b = append(b, ':')
		switch w.a.Columns[name] {
		case columnCount:
			b = strconv.AppendInt(b, s.n, 10)
		case columnMinSequence:
			b = strconv.AppendInt(b, s.minSequence, 10)
		case columnMaxSequence:
			b = strconv.AppendInt(b, s.maxSequence, 10)
		case columnMinCreated:
			b = strconv.AppendQuote(b, stamp(s.minCreated))
		case columnMaxCreated:
			b = strconv.AppendQuote(b, stamp(s.maxCreated))
		}
	}
	w.text = append(b, '}')
	return id, w.text
}
