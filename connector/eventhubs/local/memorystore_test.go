package local_test

import (
	"context"
	"strconv"
	"sync"
	"time"

	"millrace/connector/eventhubs/sas"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// memoryStore is a checkpoint store for the processors of one test.
type memoryStore struct {
	mu          sync.Mutex
	tag         int
	ownerships  map[string]azeventhubs.Ownership
	checkpoints map[string]azeventhubs.Checkpoint
}

func newMemoryStore() *memoryStore {
	return &memoryStore{ownerships: map[string]azeventhubs.Ownership{}, checkpoints: map[string]azeventhubs.Checkpoint{}}
}

func (s *memoryStore) ClaimOwnership(_ context.Context, wanted []azeventhubs.Ownership, _ *azeventhubs.ClaimOwnershipOptions) ([]azeventhubs.Ownership, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var got []azeventhubs.Ownership
	for _, o := range wanted {
		now, there := s.ownerships[o.PartitionID]
		if there && (o.ETag == nil || *o.ETag != *now.ETag) {
			continue // another one was faster
		}
		s.tag++
		o.ETag = ptr(azcore.ETag(strconv.Itoa(s.tag)))
		o.LastModifiedTime = time.Now().UTC()
		s.ownerships[o.PartitionID] = o
		got = append(got, o)
	}
	return got, nil
}

func (s *memoryStore) ListOwnership(context.Context, string, string, string, *azeventhubs.ListOwnershipOptions) ([]azeventhubs.Ownership, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []azeventhubs.Ownership
	for _, o := range s.ownerships {
		all = append(all, o)
	}
	return all, nil
}

func (s *memoryStore) ListCheckpoints(context.Context, string, string, string, *azeventhubs.ListCheckpointsOptions) ([]azeventhubs.Checkpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []azeventhubs.Checkpoint
	for _, c := range s.checkpoints {
		all = append(all, c)
	}
	return all, nil
}

func (s *memoryStore) SetCheckpoint(_ context.Context, c azeventhubs.Checkpoint, _ *azeventhubs.SetCheckpointOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checkpoints[c.PartitionID] = c
	return nil
}

// signed makes a token for a path of the world's endpoint.
func signed(w *world, path, key string, valid time.Duration) string {
	return sas.Sign("sb://"+w.HostPort()+"/"+path, "RootManageSharedAccessKey", key, time.Now().Add(valid))
}
