package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"millrace/connector"
	"millrace/connector/blob"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2/checkpoints"
)

// stores is where ownership and checkpoints are kept: the SDK's store on blob
// storage, or this package's own on a folder, with the same names.
type stores struct {
	azeventhubs.CheckpointStore
	where string
	// forget deletes everything of one hub.
	forget func(ctx context.Context, host, hub string) error
}

// openStores opens the checkpoint store. A container that is missing is made.
func openStores(ctx context.Context, c *Checkpoints, env connector.Env, emulator bool) (*stores, error) {
	where := c.Storage
	if where == "" {
		if env.DataDir == "" {
			return nil, &connector.Hinted{Err: errors.New("there is no place for checkpoints"),
				Hint: "set EVENTHUBS_CHECKPOINT_STORAGE to the folder or storage account that the workers use, or give the run's --data-dir"}
		}
		where = filepath.Join(env.DataDir, "eventhubs-checkpoints")
	} else if blob.IsFolder(where) {
		where = filepath.Join(strings.TrimPrefix(where, "file://"), c.Container)
	}
	if blob.IsFolder(where) {
		f, err := newFolderStore(where, emulator)
		if err != nil {
			return nil, err
		}
		return &stores{CheckpointStore: f, where: "folder " + where, forget: f.forget}, nil
	}
	return openBlobStore(ctx, where, c.Container, env)
}

func openBlobStore(ctx context.Context, where, container string, env connector.Env) (*stores, error) {
	bucket, err := blob.Open(ctx, where, container, env.Getenv)
	if err != nil {
		return nil, fmt.Errorf("checkpoints.storage: %w", err)
	}
	defer bucket.Close()
	within, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	if err := bucket.Prepare(within); err != nil {
		return nil, fmt.Errorf("preparing the checkpoint store: %w", err)
	}
	client, err := blob.ContainerClient(where, container, env.Getenv)
	if err != nil {
		return nil, fmt.Errorf("checkpoints.storage: %w", err)
	}
	s, err := checkpoints.NewBlobStore(client, nil)
	if err != nil {
		return nil, fmt.Errorf("setting up the checkpoint store: %w", err)
	}
	return &stores{CheckpointStore: s, where: bucket.Describe(), forget: func(ctx context.Context, host, hub string) error {
		return forgetBlobs(ctx, where, container, env, host+"/"+hub+"/")
	}}, nil
}

// forgetBlobs deletes everything whose name begins with prefix.
func forgetBlobs(ctx context.Context, where, container string, env connector.Env, prefix string) error {
	bucket, err := blob.Open(ctx, where, container, env.Getenv)
	if err != nil {
		return err
	}
	defer bucket.Close()
	var names []string
	err = bucket.List(ctx, prefix, func(i blob.Info) error {
		names = append(names, i.Name)
		return nil
	})
	for _, name := range names {
		if err == nil {
			err = bucket.Delete(ctx, name)
		}
	}
	if err != nil {
		return fmt.Errorf("deleting the checkpoints below %s: %w", prefix, err)
	}
	return nil
}

// positions reads the checkpoints of a group as positions: the number after
// the last event that was processed.
func (s *stores) positions(ctx context.Context, host, hub, group string) (map[int32]int64, error) {
	list, err := s.ListCheckpoints(ctx, host, hub, group, nil)
	if err != nil {
		return nil, s.failed(ctx, err, fmt.Sprintf("reading the checkpoints of consumer group %s", group))
	}
	of := make(map[int32]int64, len(list))
	for _, c := range list {
		p, err := strconv.ParseInt(c.PartitionID, 10, 32)
		if err != nil || c.SequenceNumber == nil {
			continue // not one of ours
		}
		of[int32(p)] = *c.SequenceNumber + 1
	}
	return of, nil
}

// failed says that the checkpoint store did not do its part. What was reached
// once comes back.
func (s *stores) failed(ctx context.Context, err error, doing string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	}
	return connector.Retryable(fmt.Errorf("%s in %s: %w", doing, s.where, err), 0)
}
