package emulator

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"millrace/connector/blob"
	"millrace/connector/eventhubs/local/web"
)

// checkpointAge is how old a list of checkpoints may be: a storage account is
// not asked at each look of a person.
const checkpointAge = 5 * time.Second

// Checkpoints reads how far clients have come from where they keep their
// checkpoints: {host}/{hub}/{group}/checkpoint/{partition}, as blobs of the
// official SDKs in a container of a storage account, or as files of the same
// names and contents in a folder. It is for Options.Progress. A folder or
// container that does not exist has none. getenv is as for blob.Open.
func Checkpoints(place, containerName string, getenv func(string) string) func(ctx context.Context, namespace, hub string) ([]web.Progress, error) {
	if blob.IsFolder(place) {
		return func(_ context.Context, namespace, hub string) ([]web.Progress, error) {
			return folderCheckpoints(place, namespace, hub)
		}
	}
	a := &accountCheckpoints{place: place, container: containerName, getenv: getenv}
	return a.progress
}

// progressOf collects checkpoints of one hub. Clients write the names of hubs
// and groups in different cases.
type progressOf struct {
	namespace, hub string
	groups         map[string]map[int32]int64
}

// add notes one checkpoint by its name's parts, if it is of this hub.
func (p *progressOf) add(host, hub, group, partition, sequence string) {
	// The host of a local service is an address or the namespace's name with
	// something behind it.
	if label, rest, ok := strings.Cut(host, "."); ok && rest != "" && !isAddress(host) && !strings.EqualFold(label, p.namespace) {
		return
	}
	n, err := strconv.ParseInt(sequence, 10, 64)
	id, perr := strconv.ParseInt(partition, 10, 32)
	if err != nil || perr != nil || !strings.EqualFold(hub, p.hub) {
		return
	}
	if p.groups == nil {
		p.groups = map[string]map[int32]int64{}
	}
	key := strings.ToLower(group)
	if p.groups[key] == nil {
		p.groups[key] = map[int32]int64{}
	}
	// A checkpoint names the last event that was worked on.
	p.groups[key][int32(id)] = max(p.groups[key][int32(id)], n+1)
}

// isAddress tells whether host is an IP address, with or without a port.
func isAddress(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return net.ParseIP(host) != nil
}

func (p *progressOf) list() []web.Progress {
	var out []web.Progress
	for group, next := range p.groups {
		out = append(out, web.Progress{Group: group, Next: next})
	}
	return out
}

// folderCheckpoints reads the files of all hosts: the folder is on this machine.
func folderCheckpoints(root, namespace, hub string) ([]web.Progress, error) {
	p := &progressOf{namespace: namespace, hub: hub}
	root = strings.TrimPrefix(root, "file://")
	// Only names are looked at where nothing else is needed.
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was deleted meanwhile
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		parts := strings.Split(filepath.ToSlash(name), "/")
		for i := range parts {
			if plain, err := url.PathUnescape(parts[i]); err == nil {
				parts[i] = plain
			}
		}
		if d.IsDir() {
			if len(parts) == 2 && !strings.EqualFold(parts[1], hub) || len(parts) == 4 && parts[3] != "checkpoint" {
				return fs.SkipDir
			}
			return nil
		}
		if len(parts) != 5 || parts[3] != "checkpoint" {
			return nil
		}
		var file struct {
			Metadata map[string]string `json:"metadata"`
		}
		data, err := os.ReadFile(path)
		if err == nil && json.Unmarshal(data, &file) == nil {
			p.add(parts[0], parts[1], parts[2], parts[4], file.Metadata["sequencenumber"])
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return p.list(), nil
}

// accountCheckpoints reads blobs.
type accountCheckpoints struct {
	place, container string
	getenv           func(string) string

	mu     sync.Mutex
	read   time.Time
	listed [][5]string // host, hub, group, partition, sequence number
}

func (a *accountCheckpoints) progress(ctx context.Context, namespace, hub string) ([]web.Progress, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Since(a.read) > checkpointAge {
		if err := a.list(ctx); err != nil {
			return nil, err
		}
		a.read = time.Now()
	}
	p := &progressOf{namespace: namespace, hub: hub}
	for _, c := range a.listed {
		p.add(c[0], c[1], c[2], c[3], c[4])
	}
	return p.list(), nil
}

func (a *accountCheckpoints) list(ctx context.Context) error {
	client, err := blob.ContainerClient(a.place, a.container, a.getenv)
	if err != nil {
		return err
	}
	a.listed = a.listed[:0]
	pages := client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Include: container.ListBlobsInclude{Metadata: true}})
	for pages.More() {
		page, err := pages.NextPage(ctx)
		if bloberror.HasCode(err, bloberror.ContainerNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, b := range page.Segment.BlobItems {
			if b.Name == nil {
				continue
			}
			parts := strings.Split(*b.Name, "/")
			if len(parts) != 5 || parts[3] != "checkpoint" {
				continue
			}
			for name, value := range b.Metadata {
				if strings.EqualFold(name, "sequencenumber") && value != nil {
					a.listed = append(a.listed, [5]string{parts[0], parts[1], parts[2], parts[4], *value})
				}
			}
		}
	}
	return nil
}
