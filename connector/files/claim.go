package files

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"millrace/connector"
	"millrace/connector/blob"
)

// chain is what this worker knows of a partition that it claimed.
type chain struct {
	// claim names the claim.
	claim string
	// end is where the last file ends, and so the name of the next one.
	end int64
	// at is the position: behind end if nothing came of the inputs between;
	// connector.Unknown if there is nothing yet.
	at int64
	// last is the last move, so that its repetition is recognised; rows are
	// its results.
	last connector.Advance
	rows int
	// unnoted is how many files there are since position.json was written.
	unnoted int
}

// ownerNote is what owner.json says.
type ownerNote struct {
	Worker string    `json:"worker"`
	Claim  string    `json:"claim"`
	Since  time.Time `json:"since"`
}

// positionNote is what position.json says: the files up to End are there, and
// nothing came of the inputs from End up to At.
type positionNote struct {
	End int64 `json:"end"`
	At  int64 `json:"at"`
}

// requests is how many requests one call has under way.
const requests = 8

// Claim implements connector.Store. It first says who owns the partitions, and
// then reads how far they are, so that what an earlier owner may still write is
// either seen or in the way of the first write. Of claims that meet, one has all
// of its partitions in the end.
func (s *Store) Claim(ctx context.Context, worker string, partitions []int32) (map[int32]int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	partitions = slices.Clone(partitions)
	slices.Sort(partitions)
	partitions = slices.Compact(partitions)
	if err := s.form(ctx); err != nil {
		return nil, err
	}
	note := ownerNote{Worker: worker, Since: time.Now().UTC()}
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		note.Claim = newClaim()
		chains, err := s.claim(ctx, note, partitions)
		if err != nil {
			return nil, fmt.Errorf("claiming partitions in %s: %w", s.Describe(), err)
		}
		if chains != nil {
			return s.claimed(chains), nil
		}
		select {
		case <-time.After(mathrand.N(pause)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func newClaim() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// claim claims once; nil if another claim came between. The partitions are
// claimed in their order and looked at again after all of them: of two claims,
// the one that was overtaken anywhere sees it.
func (s *Store) claim(ctx context.Context, note ownerNote, partitions []int32) (map[int32]*chain, error) {
	for _, p := range partitions {
		if err := s.put(ctx, s.metaOf(p, "owner"), note); err != nil {
			return nil, err
		}
	}
	var mu sync.Mutex
	chains := make(map[int32]*chain, len(partitions))
	mine := true
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(requests)
	for _, p := range partitions {
		g.Go(func() error {
			c, err := s.follow(ctx, p)
			if err != nil {
				return fmt.Errorf("partition %d: %w", p, err)
			}
			c.claim = note.Claim
			owned, err := s.owns(ctx, p, note.Claim)
			mu.Lock()
			defer mu.Unlock()
			chains[p] = c
			mine = mine && owned
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if !mine {
		return nil, nil
	}
	return chains, nil
}

// claimed notes what a claim has brought.
func (s *Store) claimed(chains map[int32]*chain) map[int32]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	positions := make(map[int32]int64, len(chains))
	for p, c := range chains {
		s.chains[p] = c
		positions[p] = c.at
	}
	return positions
}

// owns tells whether a claim is the last one of a partition.
func (s *Store) owns(ctx context.Context, p int32, claim string) (bool, error) {
	var owner ownerNote
	err := s.get(ctx, s.metaOf(p, "owner"), &owner)
	if errors.Is(err, blob.ErrNotFound) {
		return false, nil // the store was dropped
	}
	return owner.Claim == claim, err
}

// follow finds the end of a partition's files: from where position.json says,
// else from the last of all names.
func (s *Store) follow(ctx context.Context, p int32) (*chain, error) {
	c := &chain{at: connector.Unknown}
	var note positionNote
	err := s.get(ctx, s.metaOf(p, "position"), &note)
	switch {
	case err == nil:
		c.end, c.at = note.End, note.At
	case !errors.Is(err, blob.ErrNotFound):
		return nil, err
	default:
		last, ok, err := s.last(ctx, p)
		if err != nil {
			return nil, err
		}
		if !ok {
			return c, nil
		}
		if c.end, err = endOf(ctx, s.bucket, last); err != nil {
			return nil, err
		}
		c.at = c.end
	}
	for {
		o, ok, err := s.find(ctx, p, c.end)
		if err != nil || !ok {
			return c, err
		}
		if c.end, err = endOf(ctx, s.bucket, o); err != nil {
			return nil, err
		}
		c.at = c.end
		c.unnoted++
	}
}
