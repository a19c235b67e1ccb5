package offline

import (
	"errors"
	"io"
	"slices"

	"millrace/process/streamanalytics/exec"
	"millrace/process/streamanalytics/files"
)

// event is one event of a file on its way to the engine.
type event struct {
	raw  []byte
	line int64
	// bad says why the record could not be read.
	bad error
	// key is where the event stands in the order of arrival.
	key       int64
	partition int32
	// known tells that key is the event's own time.
	known bool
}

// feed is one file of an input, its events in the order of arrival.
type feed struct {
	input  int
	file   files.File
	reader files.Reader
	clock  *clock
	// partition is that of events that name none.
	partition int32
	// latest is the latest time so far; begun tells that there is one.
	latest int64
	begun  bool
	// lag is how far events are behind an earlier one in the file, at most:
	// as long as that they are kept back so that they can be put in order.
	lag     int64
	waiting eventHeap
	seq     int64
	// plain tells that events need no place in an order: the file is the only
	// one, and is in order.
	plain bool
	// head is the next event, nil at the end.
	head *event
	one  event
	done bool
}

// survey is what a first pass over a file finds.
type survey struct {
	events int64
	lag    int64
	// partitions counts the events of each partition.
	partitions map[int32]int64
	// named tells that events name their partitions; untimed counts events
	// without a time of their own.
	named   bool
	untimed int64
	latest  int64
}

// look reads a file for the order of its events.
func (f *feed) look(open files.Opener, stop func() error) (s survey, err error) {
	r, err := files.Open(f.file, open)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	s.partitions = map[int32]int64{}
	timed := false
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return s, nil
		}
		if err != nil {
			return s, err
		}
		if s.events++; s.events%4096 == 0 {
			if err := stop(); err != nil {
				return s, err
			}
		}
		if rec.Err != nil {
			s.partitions[f.partition]++
			s.untimed++
			continue
		}
		t := f.clock.read(rec.JSON)
		if t.partition >= 0 {
			s.named = true
			s.partitions[t.partition]++
		} else {
			s.partitions[f.partition]++
		}
		switch {
		case !t.own:
			s.untimed++
		case !timed || t.at >= s.latest:
			s.latest, timed = t.at, true
		default:
			s.lag = max(s.lag, s.latest-t.at)
		}
	}
}

// open starts reading.
func (f *feed) open(open files.Opener) error {
	r, err := files.Open(f.file, open)
	if err != nil {
		return err
	}
	f.reader = r
	return nil
}

// advance makes head the next event. Its text stays until the call after it.
func (f *feed) advance() error {
	f.head = nil
	for !f.done {
		if len(f.waiting) > 0 && f.waiting[0].key <= f.latest-f.lag {
			break
		}
		rec, err := f.reader.Next()
		if err == io.EOF {
			f.done = true
			break
		}
		if err != nil {
			return err
		}
		f.place(rec)
		if f.lag == 0 {
			f.head = &f.one
			return nil
		}
		e := f.one
		e.raw = slices.Clone(e.raw)
		f.waiting.push(waitingEvent{event: e, seq: f.seq})
		f.seq++
	}
	if len(f.waiting) > 0 {
		f.one = f.waiting.pop()
		f.head = &f.one
	}
	return nil
}

// place gives a record its place in the order. One without a time stays behind
// the one before it.
func (f *feed) place(rec files.Record) {
	f.one = event{raw: rec.JSON, line: rec.Line, bad: rec.Err, partition: f.partition}
	if f.plain {
		f.one.key = f.latest
		return
	}
	at := exec.NoTime
	if rec.Err == nil {
		t := f.clock.read(rec.JSON)
		if t.partition >= 0 {
			f.one.partition = t.partition
		}
		at, f.one.known = t.at, t.own
	}
	if at == exec.NoTime {
		if at = f.latest; !f.begun {
			at = 0
		}
		f.one.key = at
		return
	}
	if !f.begun || at > f.latest {
		f.latest, f.begun = at, true
	}
	f.one.key = at
	if f.clock.mode == byFile {
		f.one.key = f.latest
	}
}

// waitingEvent is an event that is kept back; seq keeps those of one time in
// the file's order.
type waitingEvent struct {
	event
	seq int64
}

// eventHeap has the earliest event first.
type eventHeap []waitingEvent

func (h eventHeap) before(i, j int) bool {
	return h[i].key < h[j].key || h[i].key == h[j].key && h[i].seq < h[j].seq
}

func (h *eventHeap) push(e waitingEvent) {
	*h = append(*h, e)
	s := *h
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if !s.before(i, up) {
			return
		}
		s[i], s[up] = s[up], s[i]
		i = up
	}
}

func (h *eventHeap) pop() event {
	s := *h
	top := s[0].event
	last := len(s) - 1
	s[0], s[last] = s[last], waitingEvent{}
	s = s[:last]
	*h = s
	for i := 0; ; {
		least := i
		for _, c := range [2]int{2*i + 1, 2*i + 2} {
			if c < last && s.before(c, least) {
				least = c
			}
		}
		if least == i {
			return top
		}
		s[i], s[least] = s[least], s[i]
		i = least
	}
}
