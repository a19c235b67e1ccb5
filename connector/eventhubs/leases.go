package eventhubs

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// leases stands between the SDK's Processor and the checkpoint store. The
// Processor does not tell when it loses a partition, ends for good when the
// store fails once, and keeps a partition it owns but cannot start for ever if
// reading checkpoints fails; here all three are mended: every listing is looked
// through for partitions that others have taken, the store is asked again until
// it answers, and checkpoints (which do not matter to the Processor's idle
// links) are never asked for.
type leases struct {
	azeventhubs.CheckpointStore
	me         string
	expiration time.Duration
	log        *slog.Logger
	// taken is called with partitions that others own by the store.
	taken func(partitions []int32)

	mu      sync.Mutex
	granted map[int32]time.Time // ours, and when that was last confirmed
	owners  map[int32]string    // live owners by the last listing
	pushed  map[int32]bool      // granted, taken from an owner that is alive
}

func newLeases(s azeventhubs.CheckpointStore, me string, expiration time.Duration, log *slog.Logger) *leases {
	return &leases{CheckpointStore: s, me: me, expiration: expiration, log: log, taken: func([]int32) {},
		granted: map[int32]time.Time{}, owners: map[int32]string{}, pushed: map[int32]bool{}}
}

// persist repeats a request to the store until it succeeds or ctx ends.
func persist[T any](ctx context.Context, s *leases, doing string, call func() (T, error)) (T, error) {
	for n := 1; ; n++ {
		v, err := call()
		if err == nil || ctx.Err() != nil {
			return v, err
		}
		s.log.Warn("the checkpoint store does not answer as it should; asking again", "while", doing, "error", err)
		sleep(ctx, backoff(n))
	}
}

// ListOwnership implements azeventhubs.CheckpointStore.
func (s *leases) ListOwnership(ctx context.Context, host, hub, group string, o *azeventhubs.ListOwnershipOptions) ([]azeventhubs.Ownership, error) {
	list, err := persist(ctx, s, "listing owners", func() ([]azeventhubs.Ownership, error) {
		return s.CheckpointStore.ListOwnership(ctx, host, hub, group, o)
	})
	if err == nil {
		s.observe(list)
	}
	return list, err
}

// observe looks for partitions that were ours and belong to others now.
func (s *leases) observe(list []azeventhubs.Ownership) {
	var lost []int32
	s.mu.Lock()
	clear(s.owners)
	for _, o := range list {
		p, err := strconv.ParseInt(o.PartitionID, 10, 32)
		if err != nil {
			continue
		}
		if o.OwnerID != "" && time.Since(o.LastModifiedTime) < s.expiration {
			s.owners[int32(p)] = o.OwnerID
		}
		if _, ours := s.granted[int32(p)]; ours && o.OwnerID != s.me {
			delete(s.granted, int32(p))
			lost = append(lost, int32(p))
		}
	}
	s.mu.Unlock()
	if len(lost) > 0 {
		s.taken(lost)
	}
}

// ClaimOwnership implements azeventhubs.CheckpointStore. The Processor calls it
// to take partitions, to renew them, and at its end to give them up.
func (s *leases) ClaimOwnership(ctx context.Context, wanted []azeventhubs.Ownership, o *azeventhubs.ClaimOwnershipOptions) ([]azeventhubs.Ownership, error) {
	asked := time.Now()
	if len(wanted) > 0 && wanted[0].OwnerID != s.me {
		// Giving up: what fails now expires by itself.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, closeTimeout)
		defer cancel()
	}
	got, err := persist(ctx, s, "claiming partitions", func() ([]azeventhubs.Ownership, error) {
		return s.CheckpointStore.ClaimOwnership(ctx, wanted, o)
	})
	if err != nil {
		return got, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range got {
		n, err := strconv.ParseInt(o.PartitionID, 10, 32)
		if err != nil {
			continue
		}
		p := int32(n)
		if o.OwnerID != s.me {
			delete(s.granted, p)
			continue
		}
		if _, before := s.granted[p]; !before {
			owner := s.owners[p]
			s.pushed[p] = owner != "" && owner != s.me
		}
		s.granted[p] = asked
	}
	return got, nil
}

// ListCheckpoints implements azeventhubs.CheckpointStore for the Processor,
// whose links deliver nothing.
func (s *leases) ListCheckpoints(context.Context, string, string, string, *azeventhubs.ListCheckpointsOptions) ([]azeventhubs.Checkpoint, error) {
	return nil, nil
}

// fresh tells whether a partition is ours by the store, and nobody may have
// taken it since.
func (s *leases) fresh(p int32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.granted[p]
	return ok && time.Since(at) < s.expiration
}

// ours lists the partitions that the store grants us.
func (s *leases) ours() []int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]int32, 0, len(s.granted))
	for p := range s.granted {
		list = append(list, p)
	}
	return list
}

// wasPushed tells, once, whether a partition was taken from an owner that is
// alive.
func (s *leases) wasPushed(p int32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.pushed[p]
	delete(s.pushed, p)
	return was
}

// confirm asks the store whether a partition is still ours. A store that does
// not answer leaves what is known.
func (s *leases) confirm(ctx context.Context, host, hub, group string, p int32) bool {
	within, cancel := context.WithTimeout(ctx, s.expiration)
	defer cancel()
	list, err := s.CheckpointStore.ListOwnership(within, host, hub, group, nil)
	if err != nil {
		return s.fresh(p)
	}
	for _, o := range list {
		if o.PartitionID == partitionID(p) {
			return o.OwnerID == s.me
		}
	}
	return false
}
