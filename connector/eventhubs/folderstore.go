package eventhubs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"millrace/connector"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// folderStore keeps ownership and checkpoints in a folder, under the names
// that the official SDKs give their blobs:
//
//	{namespace}/{hub}/{group}/ownership/{partition}
//	{namespace}/{hub}/{group}/checkpoint/{partition}
//
// Each is a small JSON file with what the SDKs keep in a blob's metadata, and
// an etag that changes with every write. Files appear whole or not at all; a
// lock file per group makes "write if unchanged" one step for all processes
// that share the folder. The port of a local service is left out of the name,
// since it changes from start to start. Safe for concurrent use.
type folderStore struct {
	root     string
	portless bool
}

var _ azeventhubs.CheckpointStore = (*folderStore)(nil)

// entry is the content of a file.
type entry struct {
	ETag     string            `json:"etag"`
	Modified time.Time         `json:"modified"`
	Metadata map[string]string `json:"metadata"`
}

// The keys of the metadata, as the SDKs write them.
const (
	metaOwner    = "ownerid"
	metaSequence = "sequencenumber"
	metaOffset   = "offset"
)

const (
	ownershipDir  = "ownership"
	checkpointDir = "checkpoint"
	lockName      = ".lock"
	tempPrefix    = ".new-"
)

func newFolderStore(root string, emulator bool) (*folderStore, error) {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, &connector.Hinted{Hint: "check checkpoints.storage", Err: fmt.Errorf("making the folder for checkpoints: %w", err)}
	}
	return &folderStore{root: root, portless: emulator}, nil
}

// dir is the folder of a group, or of a hub if group is empty.
func (f *folderStore) dir(host, hub, group string) (string, error) {
	if host == "" || hub == "" {
		return "", errors.New("checkpoints need a namespace and a hub")
	}
	if h, _, err := net.SplitHostPort(host); err == nil && f.portless {
		host = h
	}
	path := f.root
	for _, part := range []string{host, hub, group} {
		if part != "" {
			path = filepath.Join(path, fileName(part))
		}
	}
	return path, nil
}

// fileName makes a name out of a part of a blob's name.
func fileName(part string) string {
	if strings.Trim(part, ".") == "" {
		return strings.ReplaceAll(part, ".", "%2E")
	}
	name := url.PathEscape(part)
	return strings.ReplaceAll(name, ":", "%3A")
}

// locked runs fn while no other process or goroutine changes the group.
func (f *folderStore) locked(dir string, fn func() error) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := lockFolder(lock); err != nil {
		return fmt.Errorf("locking %s: %w", dir, err)
	}
	defer unlockFolder(lock)
	return fn()
}

// read returns a file's entry, and false if there is none. One that cannot be
// read (the machine lost power while it was written) counts as none: for
// ownership as for positions, that only repeats work.
func (f *folderStore) read(path string) (entry, bool, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return entry{}, false, nil
	}
	if err != nil {
		return entry{}, false, err
	}
	var e entry
	if json.Unmarshal(b, &e) != nil || e.ETag == "" {
		return entry{}, false, nil
	}
	return e, true, nil
}

func (f *folderStore) write(path string, metadata map[string]string) (entry, error) {
	var tag [16]byte
	_, _ = rand.Read(tag[:])
	e := entry{ETag: hex.EncodeToString(tag[:]), Modified: time.Now().UTC(), Metadata: metadata}
	b, err := json.Marshal(e)
	if err != nil {
		return entry{}, err
	}
	dir, name := filepath.Split(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return entry{}, err
	}
	temp, err := os.CreateTemp(dir, tempPrefix+name+"-")
	if err != nil {
		return entry{}, err
	}
	_, err = temp.Write(append(b, '\n'))
	if err == nil {
		err = temp.Sync()
	}
	err = errors.Join(err, temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temp.Name())
		return entry{}, err
	}
	return e, nil
}

// ClaimOwnership implements azeventhubs.CheckpointStore. A partition that
// somebody else has written since is left out of the answer.
func (f *folderStore) ClaimOwnership(ctx context.Context, wanted []azeventhubs.Ownership, _ *azeventhubs.ClaimOwnershipOptions) ([]azeventhubs.Ownership, error) {
	var got []azeventhubs.Ownership
	for _, o := range wanted {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		dir, err := f.dir(o.FullyQualifiedNamespace, o.EventHubName, o.ConsumerGroup)
		if err != nil {
			return nil, err
		}
		err = f.locked(dir, func() error {
			path := filepath.Join(dir, ownershipDir, fileName(o.PartitionID))
			now, there, err := f.read(path)
			if err != nil {
				return err
			}
			if there && (o.ETag == nil || now.ETag != string(*o.ETag)) || !there && o.ETag != nil {
				return nil
			}
			now, err = f.write(path, map[string]string{metaOwner: o.OwnerID})
			if err != nil {
				return err
			}
			o.ETag, o.LastModifiedTime = ptr(azcore.ETag(now.ETag)), now.Modified
			got = append(got, o)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("claiming partition %s: %w", o.PartitionID, err)
		}
	}
	return got, nil
}

// ListOwnership implements azeventhubs.CheckpointStore.
func (f *folderStore) ListOwnership(_ context.Context, host, hub, group string, _ *azeventhubs.ListOwnershipOptions) ([]azeventhubs.Ownership, error) {
	var list []azeventhubs.Ownership
	err := f.each(host, hub, group, ownershipDir, func(partition string, e entry) {
		list = append(list, azeventhubs.Ownership{FullyQualifiedNamespace: host, EventHubName: hub, ConsumerGroup: group,
			PartitionID: partition, OwnerID: e.Metadata[metaOwner], LastModifiedTime: e.Modified, ETag: ptr(azcore.ETag(e.ETag))})
	})
	return list, err
}

// ListCheckpoints implements azeventhubs.CheckpointStore.
func (f *folderStore) ListCheckpoints(_ context.Context, host, hub, group string, _ *azeventhubs.ListCheckpointsOptions) ([]azeventhubs.Checkpoint, error) {
	var list []azeventhubs.Checkpoint
	err := f.each(host, hub, group, checkpointDir, func(partition string, e entry) {
		n, err := strconv.ParseInt(e.Metadata[metaSequence], 10, 64)
		if err != nil {
			return
		}
		list = append(list, azeventhubs.Checkpoint{FullyQualifiedNamespace: host, EventHubName: hub, ConsumerGroup: group,
			PartitionID: partition, SequenceNumber: &n, Offset: ptr(e.Metadata[metaOffset])})
	})
	return list, err
}

func (f *folderStore) each(host, hub, group, kind string, fn func(partition string, e entry)) error {
	dir, err := f.dir(host, hub, group)
	if err != nil {
		return err
	}
	dir = filepath.Join(dir, kind)
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, file := range files {
		if file.IsDir() || strings.HasPrefix(file.Name(), ".") {
			continue
		}
		partition, err := url.PathUnescape(file.Name())
		if err != nil {
			continue
		}
		e, there, err := f.read(filepath.Join(dir, file.Name()))
		if err != nil {
			return err
		}
		if there {
			fn(partition, e)
		}
	}
	return nil
}

// SetCheckpoint implements azeventhubs.CheckpointStore: the last one counts,
// as with blobs.
func (f *folderStore) SetCheckpoint(_ context.Context, c azeventhubs.Checkpoint, _ *azeventhubs.SetCheckpointOptions) error {
	dir, err := f.dir(c.FullyQualifiedNamespace, c.EventHubName, c.ConsumerGroup)
	if err != nil {
		return err
	}
	metadata := map[string]string{}
	if c.SequenceNumber != nil {
		metadata[metaSequence] = strconv.FormatInt(*c.SequenceNumber, 10)
	}
	if c.Offset != nil {
		metadata[metaOffset] = *c.Offset
	}
	_, err = f.write(filepath.Join(dir, checkpointDir, fileName(c.PartitionID)), metadata)
	return err
}

// forget deletes everything of one hub.
func (f *folderStore) forget(_ context.Context, host, hub string) error {
	dir, err := f.dir(host, hub, "")
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("deleting the checkpoints of hub %s: %w", hub, err)
	}
	return nil
}
