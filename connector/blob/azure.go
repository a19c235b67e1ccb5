package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"millrace/connector"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	azblob "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

const (
	// blockSize is what is sent at once. An object of up to that size is
	// one request; 50,000 blocks, the limit of a blob, make 390 GB.
	blockSize = 8 << 20
	// blocksAtOnce is how many are under way for one object. Together they
	// bound the memory that writing an object takes.
	blocksAtOnce = 2
)

// azure is a bucket in a storage account.
type azure struct {
	client *container.Client
	// where is the account's address and the container, without secrets.
	where string
	// signed says how requests are signed, for hints; limited whether that
	// can leave out single rights, as an account's key never does.
	signed  string
	limited bool
	// ready is set once the container was seen or created.
	ready atomic.Bool
	close func()
}

func openAzure(address, name string) (Bucket, error) {
	client, a, closer, err := dial(address, name)
	if err != nil {
		return nil, err
	}
	b := &azure{client: client, where: a.url + name, close: closer, limited: a.key == ""}
	switch {
	case a.key != "":
		b.signed = "AccountName and AccountKey"
	case a.sas != "":
		b.signed = "the shared access signature (its rights and its expiry)"
	default:
		b.signed = "the identity and its role on the account"
	}
	return b, nil
}

// ContainerClient returns azblob's own client of a container in a storage
// account, for libraries that ask for one. The address is one of those that
// Open takes, except a folder. Nothing is connected or created.
func ContainerClient(address, name string, getenv func(string) string) (*container.Client, error) {
	if address == "" && getenv != nil {
		address = getenv(EnvConnectionString)
	}
	if IsFolder(address) {
		return nil, hinted(connectionHint, "%s is a folder, not a storage account", address)
	}
	client, _, _, err := dial(address, name)
	return client, err
}

func dial(address, name string) (*container.Client, account, func(), error) {
	a, err := parseAccount(address)
	if err != nil {
		return nil, a, nil, err
	}
	if name == "" {
		return nil, a, nil, errNoContainer
	}
	if err := CheckContainer(name); err != nil {
		return nil, a, nil, err
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       30 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: time.Minute,
	}
	opts := &container.ClientOptions{ClientOptions: policy.ClientOptions{
		Transport: quiet{&http.Client{Transport: transport}},
		// The callers repeat what is worth repeating for as long as it
		// takes; here only blips are smoothed out.
		Retry:     policy.RetryOptions{MaxRetries: 2, RetryDelay: 200 * time.Millisecond, MaxRetryDelay: 2 * time.Second},
		Telemetry: policy.TelemetryOptions{ApplicationID: "millrace"},
	}}
	var client *container.Client
	switch {
	case a.key != "":
		var cred *container.SharedKeyCredential
		cred, err = azblob.NewSharedKeyCredential(a.name, a.key)
		if err != nil {
			// The library's error would show the key.
			return nil, a, nil, hinted("copy AccountKey once more; it is base64 and ends with ==", "the AccountKey of storage account %s is no key", a.name)
		}
		client, err = container.NewClientWithSharedKeyCredential(a.url+name, cred, opts)
	case a.sas != "":
		client, err = container.NewClientWithNoCredential(a.url+name+"?"+a.sas, opts)
	default:
		var cred *azidentity.DefaultAzureCredential
		cred, err = azidentity.NewDefaultAzureCredential(nil)
		if err == nil {
			client, err = container.NewClient(a.url+name, cred, opts)
		}
	}
	if err != nil {
		return nil, a, nil, fmt.Errorf("setting up the storage client for %s: %w", a.url, err)
	}
	return client, a, transport.CloseIdleConnections, nil
}

// quiet keeps the address that was asked for out of errors: a shared access
// signature is a part of it, and errors end up in logs.
type quiet struct{ client *http.Client }

func (q quiet) Do(r *http.Request) (*http.Response, error) {
	resp, err := q.client.Do(r)
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return resp, err
}

func (b *azure) Describe() string { return "blob storage " + b.where }

func (b *azure) Close() error {
	b.close()
	return nil
}

func (b *azure) Prepare(ctx context.Context) error {
	// Listing comes first: it is the smallest right that shows whether the
	// container is there, and most containers are.
	pager := b.client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{MaxResults: to.Ptr[int32](1)})
	_, err := pager.NextPage(ctx)
	switch {
	case err == nil:
	case b.limited && bloberror.HasCode(err, bloberror.AuthorizationPermissionMismatch, bloberror.AuthorizationFailure):
		// Right, but not allowed to list: writing may be allowed.
	case bloberror.HasCode(err, bloberror.ContainerNotFound, bloberror.ResourceNotFound):
		if err := b.create(ctx); err != nil {
			return err
		}
	default:
		return b.fail("opening", err)
	}
	b.ready.Store(true)
	return nil
}

func (b *azure) create(ctx context.Context) error {
	_, err := b.client.Create(ctx, nil)
	switch {
	case err == nil, bloberror.HasCode(err, bloberror.ContainerAlreadyExists):
		return nil
	case bloberror.HasCode(err, bloberror.AuthorizationPermissionMismatch, bloberror.AuthorizationFailure,
		bloberror.AuthorizationResourceTypeMismatch):
		return &connector.Hinted{Hint: "create the container beforehand, or use credentials that may create it",
			Err: fmt.Errorf("the container of %s does not exist, and these credentials may not create it: %w", b.Describe(), brief(err))}
	}
	return b.fail("creating the container of", err)
}

func (b *azure) Put(ctx context.Context, name string, body io.Reader) (Info, error) {
	return b.write(ctx, name, body, nil)
}

func (b *azure) PutNew(ctx context.Context, name string, body io.Reader) (Info, error) {
	return b.write(ctx, name, body, &azblob.AccessConditions{
		ModifiedAccessConditions: &azblob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}})
}

func (b *azure) write(ctx context.Context, name string, body io.Reader, cond *azblob.AccessConditions) (Info, error) {
	if err := CheckName(name); err != nil {
		return Info{}, err
	}
	if !b.ready.Load() {
		if err := b.Prepare(ctx); err != nil {
			return Info{}, err
		}
	}
	counted := &counter{r: body}
	// Short bodies are one upload; of long ones blocks are staged, which
	// nobody sees, and committed at once at the end.
	resp, err := b.client.NewBlockBlobClient(name).UploadStream(ctx, counted, &blockblob.UploadStreamOptions{
		BlockSize: blockSize, Concurrency: blocksAtOnce, AccessConditions: cond,
	})
	if counted.err != nil {
		return Info{}, fmt.Errorf("reading what is to become %s: %w", name, counted.err)
	}
	if err != nil {
		if cond != nil && bloberror.HasCode(err, bloberror.BlobAlreadyExists, bloberror.ConditionNotMet,
			bloberror.UnauthorizedBlobOverwrite, bloberror.BlobImmutableDueToPolicy) {
			return Info{}, fmt.Errorf("%s in %s: %w", name, b.Describe(), ErrExists)
		}
		if bloberror.HasCode(err, bloberror.ContainerNotFound) {
			b.ready.Store(false) // deleted since; the next attempt creates it
			return Info{}, connector.Retryable(b.fail("writing "+name+" to", err), 0)
		}
		return Info{}, b.fail("writing "+name+" to", err)
	}
	info := Info{Name: name, Size: counted.n}
	if resp.ETag != nil {
		info.ETag = string(*resp.ETag)
	}
	if resp.LastModified != nil {
		info.Modified = *resp.LastModified
	}
	return info, nil
}

// counter counts what is read, and keeps the reader's own error apart from the
// service's.
type counter struct {
	r   io.Reader
	n   int64
	err error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

func (b *azure) Get(ctx context.Context, name string, r Range) (io.ReadCloser, Info, error) {
	if err := CheckName(name); err != nil {
		return nil, Info{}, err
	}
	resp, err := b.client.NewBlobClient(name).DownloadStream(ctx, &azblob.DownloadStreamOptions{
		Range: azblob.HTTPRange{Offset: r.Offset, Count: r.Length},
	})
	if bloberror.HasCode(err, bloberror.InvalidRange) {
		// Beyond the end, where the service answers with an error (also
		// for the whole of an empty object).
		info, err := b.Stat(ctx, name)
		return io.NopCloser(strings.NewReader("")), info, err
	}
	if err != nil {
		return nil, Info{}, b.fail("reading "+name+" from", err)
	}
	info := Info{Name: name, Size: value(resp.ContentLength), Modified: value(resp.LastModified), ETag: string(value(resp.ETag))}
	if total, ok := totalSize(resp.ContentRange); ok {
		info.Size = total
	}
	// Its connection is renewed where it broke, if the object is the same.
	return resp.NewRetryReader(ctx, &azblob.RetryReaderOptions{MaxRetries: 3}), info, nil
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// totalSize reads the size at the end of "bytes 0-99/1234".
func totalSize(contentRange *string) (int64, bool) {
	if contentRange == nil {
		return 0, false
	}
	var from, until, total int64
	if _, err := fmt.Sscanf(*contentRange, "bytes %d-%d/%d", &from, &until, &total); err != nil {
		return 0, false
	}
	return total, true
}

func (b *azure) Stat(ctx context.Context, name string) (Info, error) {
	if err := CheckName(name); err != nil {
		return Info{}, err
	}
	p, err := b.client.NewBlobClient(name).GetProperties(ctx, nil)
	if err != nil {
		return Info{}, b.fail("looking at "+name+" in", err)
	}
	return Info{Name: name, Size: value(p.ContentLength), Modified: value(p.LastModified), ETag: string(value(p.ETag))}, nil
}

func (b *azure) List(ctx context.Context, prefix string, fn func(Info) error) error {
	pager := b.client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{
		Prefix: to.Ptr(prefix), Include: container.ListBlobsInclude{Metadata: true}})
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			err = b.fail("listing", err)
			if errors.Is(err, ErrNotFound) {
				return nil
			}
			return err
		}
		for _, item := range page.Segment.BlobItems {
			p := item.Properties
			if item.Name == nil || p == nil || isDirectory(item.Metadata) {
				continue
			}
			err := fn(Info{Name: *item.Name, Size: value(p.ContentLength),
				ETag: string(value(p.ETag)), Modified: value(p.LastModified)})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// isDirectory tells the folders of Data Lake Storage accounts, which show as
// empty objects, from objects.
func isDirectory(metadata map[string]*string) bool {
	for k, v := range metadata {
		if strings.EqualFold(k, "hdi_isfolder") && v != nil && strings.EqualFold(*v, "true") {
			return true
		}
	}
	return false
}

func (b *azure) Delete(ctx context.Context, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	_, err := b.client.NewBlobClient(name).Delete(ctx, &azblob.DeleteOptions{
		DeleteSnapshots: to.Ptr(azblob.DeleteSnapshotsOptionTypeInclude)})
	if err != nil {
		err = b.fail("deleting "+name+" from", err)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
	}
	return err
}
