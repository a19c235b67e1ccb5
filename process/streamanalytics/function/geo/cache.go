package geo

import (
	"hash/maphash"
	"math/bits"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"millrace/process/streamanalytics/value"
)

// The cache of a call: sets of four places for texts that hash alike. That
// bounds it by number; cacheBytes bounds it by the length of the texts.
const (
	cacheSets  = 512
	cacheWays  = 4
	cacheBytes = 32 << 20
)

// cache remembers the shapes that a call read lately, by their text. It is
// safe for concurrent use without a lock: an entry never changes, and a place
// is replaced as a whole.
type cache struct {
	seed   maphash.Seed
	places atomic.Pointer[[cacheSets * cacheWays]atomic.Pointer[entry]]
	held   atomic.Int64
	// buffers are for the text of records.
	buffers sync.Pool
}

type entry struct {
	text  string
	shape *shape
}

// shape reads a geography, or takes it from the cache unless it is a single
// point, which is read faster than found.
func (c *cache) shape(v value.Value, level value.Level) (*shape, error) {
	if p, ok := readPoint(v); ok {
		s := &shape{points: []xy{p}}
		return s, s.finish(level)
	}
	if v.Kind() == value.String {
		return c.find(v, v.Str(), nil, level)
	}
	if v.Kind() != value.Record {
		_, err := read(v)
		return nil, err
	}
	buffer, _ := c.buffers.Get().(*[]byte)
	if buffer == nil {
		buffer = new([]byte)
	}
	*buffer = v.AppendJSON((*buffer)[:0])
	s, err := c.find(v, "", *buffer, level)
	c.buffers.Put(buffer)
	return s, err
}

// find looks a shape up by its text, which is text or b.
func (c *cache) find(v value.Value, text string, b []byte, level value.Level) (*shape, error) {
	if b != nil {
		// A view: b is not changed before find returns.
		text = unsafe.String(unsafe.SliceData(b), len(b))
	}
	hash := c.hash(text)
	places := c.places.Load()
	if places == nil {
		places = new([cacheSets * cacheWays]atomic.Pointer[entry])
		if !c.places.CompareAndSwap(nil, places) {
			places = c.places.Load()
		}
	}
	set := places[hash%cacheSets*cacheWays:][:cacheWays]
	for i := range set {
		if e := set[i].Load(); e != nil && e.text == text {
			return e.shape, nil
		}
	}
	s, err := read(v)
	if err != nil {
		return nil, err
	}
	if err := s.finish(level); err != nil {
		return nil, err
	}
	e := &entry{text: strings.Clone(text), shape: s}
	if size := int64(len(e.text)); c.held.Add(size) > cacheBytes {
		c.held.Add(-size)
		return s, nil
	}
	// A place that is free, else one that the rest of the hash chooses.
	i := int(hash >> 32 % cacheWays)
	for k := range set {
		if set[k].Load() == nil {
			i = k
		}
	}
	if old := set[i].Swap(e); old != nil {
		c.held.Add(-int64(len(old.text)))
	}
	return s, nil
}

// Of a long text, samples are hashed: it is compared as a whole anyway.
const (
	sampleBytes = 64
	samples     = 16
)

func (c *cache) hash(text string) uint64 {
	if len(text) <= sampleBytes*samples {
		return maphash.String(c.seed, text)
	}
	hash := uint64(len(text))
	for i := range samples {
		at := (len(text) - sampleBytes) * i / (samples - 1)
		hash = bits.RotateLeft64(hash, 17) * 0x9e3779b97f4a7c15
		hash ^= maphash.String(c.seed, text[at:at+sampleBytes])
	}
	return hash
}
