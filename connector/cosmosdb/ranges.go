package cosmosdb

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
	"github.com/twmb/murmur3"
)

// rangeMap tells in which of a container's partition key ranges a partition key
// lies. It is immutable.
type rangeMap struct {
	// bulk: requests can be made for a range. False for containers whose keys
	// are placed in another way than here (version 1 of the hash, hierarchical
	// keys), which are those of others.
	bulk   bool
	lows   []string // the ranges' lower bounds, as bytes, in order
	header []http.Header
}

// newRangeMap makes the map of a container's ranges, which cover everything.
func newRangeMap(ranges []keyRange) (*rangeMap, error) {
	m := &rangeMap{bulk: true}
	ranges = slices.Clone(ranges)
	slices.SortFunc(ranges, func(a, b keyRange) int { return strings.Compare(a.min, b.min) })
	for i, r := range ranges {
		low, err := hex.DecodeString(r.min)
		if err != nil || i == 0 && len(low) > 0 || i > 0 && ranges[i-1].max != r.min {
			return nil, fmt.Errorf("the partition key ranges do not fit together: range %q begins at %q", r.id, r.min)
		}
		m.lows = append(m.lows, string(low))
		m.header = append(m.header, http.Header{
			headerRange:        {r.id},
			headerPartitionKey: nil,
			headerBatchAtomic:  {"False"},
			headerBatchOrdered: nil,
			headerBatchGoOn:    {"False"},
		})
	}
	return m, nil
}

const (
	headerPartitionKey = "X-Ms-Documentdb-Partitionkey"
	headerBatchAtomic  = "X-Ms-Cosmos-Batch-Atomic"
	headerBatchOrdered = "X-Ms-Cosmos-Batch-Ordered"
	headerBatchGoOn    = "X-Ms-Cosmos-Batch-Continue-On-Error"
)

// place is the range that an effective partition key lies in.
func (m *rangeMap) place(epk []byte) int {
	n, found := slices.BinarySearchFunc(m.lows, epk, func(low string, epk []byte) int { return strings.Compare(low, string(epk)) })
	if !found {
		n--
	}
	return n
}

// rangeMap gives the container's map, which it reads when it is first asked.
func (s *Store) rangeMap(ctx context.Context) (*rangeMap, error) {
	if m := s.places.Load(); m != nil {
		return m, nil
	}
	s.looking.Lock()
	defer s.looking.Unlock()
	if m := s.places.Load(); m != nil {
		return m, nil
	}
	m, err := s.readRangeMap(ctx)
	if err != nil {
		return nil, err
	}
	s.places.Store(m)
	return m, nil
}

func (s *Store) readRangeMap(ctx context.Context) (*rangeMap, error) {
	var found azcosmos.ContainerResponse
	doing := fmt.Sprintf("reading the properties of the container %q", s.name)
	err := s.account.repeat(ctx, doing, nil, func() (err error) {
		found, err = s.container.Read(ctx, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	if p := found.ContainerProperties; p == nil || p.PartitionKeyDefinition.Version != 2 ||
		!slices.Equal(p.PartitionKeyDefinition.Paths, []string{s.cfg.PartitionKey}) {
		return &rangeMap{}, nil
	}
	ranges, err := s.ranges(ctx)
	if err != nil {
		return nil, err
	}
	m, err := newRangeMap(ranges)
	if err != nil {
		return nil, fmt.Errorf("asking Cosmos DB at %s: %w", s.account.host, err)
	}
	return m, nil
}

// What a value is, as the byte that begins its hashed form.
const (
	hashedUndefined = 0x00
	hashedNull      = 0x01
	hashedFalse     = 0x02
	hashedTrue      = 0x03
	hashedNumber    = 0x05
	hashedString    = 0x08
	hashedStringEnd = 0xFF
)

// effective is the effective partition key, of version 2, of what text
// returned: a hash of 128 bits, its bytes in the other order, whose two highest
// bits are clear. Were one wrong, the service would say that it lies in another
// range, and its events would go in a batch of their own.
func (k keyPath) effective(text []byte) (epk [16]byte) {
	var space [256]byte
	h1, h2 := murmur3.Sum128(k.appendHashed(space[:0], text))
	binary.BigEndian.PutUint64(epk[:], h2)
	binary.BigEndian.PutUint64(epk[8:], h1)
	epk[0] &= 0x3F
	return epk
}

// appendHashed appends what is hashed of a partition key.
func (k keyPath) appendHashed(dst, text []byte) []byte {
	switch {
	case text == nil:
		return append(dst, hashedUndefined)
	case k.device():
		return append(append(append(dst, hashedString), text...), hashedStringEnd)
	case text[0] == '"':
		return append(append(append(dst, hashedString), textOf(text)...), hashedStringEnd)
	case text[0] == 'n':
		return append(dst, hashedNull)
	case text[0] == 'f':
		return append(dst, hashedFalse)
	case text[0] == 't':
		return append(dst, hashedTrue)
	}
	number, _ := strconv.ParseFloat(string(text), 64)
	return binary.LittleEndian.AppendUint64(append(dst, hashedNumber), math.Float64bits(number))
}
