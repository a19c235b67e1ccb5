package blob_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/internal/testservice"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	azblob "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
)

// A well-formed key that no account has.
const anotherKey = "bm90IHRoZSBrZXkgb2YgdGhpcyBhY2NvdW50IGF0IGFsbCwgYnV0IG9mIHRoZSByaWdodCBmb3JtLi4uLi4uLg=="

func wantHint(t *testing.T, err error, words ...string) {
	t.Helper()
	var hint *connector.Hinted
	if !errors.As(err, &hint) || connector.ActionOf(err) != connector.Fail {
		t.Errorf("no hint, or worth a retry: %v", err)
		return
	}
	for _, w := range words {
		if !strings.Contains(hint.Hint+" "+err.Error(), w) {
			t.Errorf("%q is not in: %v (%s)", w, err, hint.Hint)
		}
	}
	if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), anotherKey) {
		t.Errorf("too much is told: %v", err)
	}
}

func TestAzureWrongKey(t *testing.T) {
	t.Parallel()
	address := testservice.Azurite(t)
	fields := strings.Split(address, ";")
	for i, f := range fields {
		if strings.HasPrefix(f, "AccountKey=") {
			fields[i] = "AccountKey=" + anotherKey
		}
	}
	b := open(t, strings.Join(fields, ";"), "wrong-key")
	_, err := b.Put(t.Context(), "x", strings.NewReader("x"))
	wantHint(t, err, "AccountKey", "the service answered 403", "wrong-key")
	wantHint(t, b.Prepare(t.Context()), "AccountKey")
	wantHint(t, b.List(t.Context(), "", nil), "AccountKey")
	_, err = b.Stat(t.Context(), "x")
	wantHint(t, err, "AccountKey")
}

// Signatures with little rights: enough to use a container that is there.
func TestAzureSignatures(t *testing.T) {
	t.Parallel()
	full := openAzurite(t)
	put(t, full, "there", "x")
	endpoint, name, _ := strings.Cut(strings.TrimPrefix(full.Describe(), "blob storage "), "devstoreaccount1/")
	endpoint += "devstoreaccount1"
	signature := func(rights sas.ContainerPermissions, container string) string {
		cred, err := azblob.NewSharedKeyCredential("devstoreaccount1",
			"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==")
		if err != nil {
			t.Fatal(err)
		}
		q, err := sas.BlobSignatureValues{Version: "2022-11-02", Protocol: sas.ProtocolHTTPSandHTTP, ContainerName: container,
			StartTime: time.Now().Add(-time.Hour), ExpiryTime: time.Now().Add(time.Hour), Permissions: rights.String()}.SignWithSharedKey(cred)
		if err != nil {
			t.Fatal(err)
		}
		return q.Encode()
	}
	writer := signature(sas.ContainerPermissions{Create: true, Write: true}, name)
	for i, address := range []string{"BlobEndpoint=" + endpoint + ";SharedAccessSignature=" + writer, endpoint + "?" + writer} {
		b := open(t, address, name)
		n := fmt.Sprint("new", i)
		if _, err := b.PutNew(t.Context(), n, strings.NewReader("y")); err != nil {
			t.Errorf("writing with a right to write: %v", err)
		}
		if _, err := b.PutNew(t.Context(), n, strings.NewReader("y")); !errors.Is(err, blob.ErrExists) {
			t.Errorf("writing again: %v", err)
		}
		_, _, err := b.Get(t.Context(), "there", blob.Range{})
		wantHint(t, err, "lack a right")
		if strings.Contains(b.Describe(), "sig=") {
			t.Errorf("shows the signature: %s", b.Describe())
		}
	}
	reader := signature(sas.ContainerPermissions{Read: true, List: true}, name)
	b := open(t, endpoint+"?"+reader, name)
	if got, _ := get(t, b, "there", blob.Range{}); got != "x" {
		t.Errorf("got %q", got)
	}
	_, err := b.Put(t.Context(), "there", strings.NewReader(""))
	wantHint(t, err, "lack a right")
	// A container that is not there, and no right to make it.
	none := fmt.Sprintf("none-%016x", rand.Uint64())
	lister := signature(sas.ContainerPermissions{Read: true, List: true, Write: true}, none)
	b = open(t, endpoint+"?"+lister, none)
	if err := b.List(t.Context(), "", nil); err != nil {
		t.Errorf("listing a container that is not there: %v", err)
	}
	wantHint(t, b.Prepare(t.Context()), "does not exist", "create")
}

// A container that is deleted under a writer is made again.
func TestAzureContainerDeleted(t *testing.T) {
	t.Parallel()
	b := openAzurite(t)
	put(t, b, "x", "x")
	_, name, _ := strings.Cut(b.Describe(), "devstoreaccount1/")
	c, err := blob.ContainerClient(testservice.Azurite(t), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Delete(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if got := list(t, b, ""); len(got) != 0 {
		t.Errorf("there is %v", got)
	}
	for range 20 {
		_, err = b.PutNew(t.Context(), "x", strings.NewReader("y"))
		if connector.ActionOf(err) != connector.Retry {
			break
		}
	}
	if err != nil {
		t.Errorf("writing again: %v", err)
	}
}

// server is a storage account that answers as it is told.
func server(t *testing.T, answer http.HandlerFunc) blob.Bucket {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return open(t, "AccountName=acc;AccountKey="+anotherKey+";BlobEndpoint="+s.URL+"/acc", "stuff")
}

func TestAzureErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		code   string
		retry  bool
		hint   string
	}{
		{503, "ServerBusy", true, ""},
		{500, "InternalError", true, ""},
		{500, "", true, ""},
		{429, "TooManyRequests", true, ""},
		{409, "ContainerBeingDeleted", true, ""},
		{403, "AuthorizationPermissionMismatch", false, "AccountKey"},
		{403, "AuthorizationFailure", false, "firewall"},
		{403, "AuthenticationFailed", false, "AccountKey"},
		{400, "InvalidHeaderValue", false, ""},
		{409, "SnapshotsPresent", false, ""},
	} {
		t.Run(fmt.Sprint(tt.status, tt.code), func(t *testing.T) {
			t.Parallel()
			b := server(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("x-ms-error-code", tt.code)
				w.Header().Set("x-ms-retry-after-ms", "7")
				w.WriteHeader(tt.status)
			})
			err := b.Delete(t.Context(), "x")
			if err == nil || (connector.ActionOf(err) == connector.Retry) != tt.retry {
				t.Fatalf("worth a retry %v: %v", !tt.retry, err)
			}
			var e *connector.Error
			if tt.retry && (!errors.As(err, &e) || e.After != 7*time.Millisecond) {
				t.Errorf("after %v", e)
			}
			if !strings.Contains(err.Error(), tt.code) || !strings.Contains(err.Error(), fmt.Sprint(tt.status)) {
				t.Errorf("the answer is not told: %v", err)
			}
			if tt.hint != "" {
				wantHint(t, err, tt.hint)
			}
		})
	}
}

func TestAzureUnreachable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	b := open(t, "AccountName=acc;AccountKey="+anotherKey+";BlobEndpoint=http://"+addr+"/acc", "stuff")
	for name, err := range map[string]error{
		"Prepare": b.Prepare(t.Context()),
		"List":    b.List(t.Context(), "", nil),
		"Delete":  b.Delete(t.Context(), "x"),
	} {
		var un *connector.Unreachable
		if !errors.As(err, &un) || connector.ActionOf(err) != connector.Retry || !strings.Contains(un.What, addr) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A caller that gives up is not told to try again.
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := b.Delete(ctx, "x"); !errors.Is(err, context.DeadlineExceeded) || connector.ActionOf(err) == connector.Retry {
		t.Errorf("given up: %v", err)
	}
}

// What is said about a network shows no signature, though it is a part of every
// address that is asked for.
func TestAzureErrorsShowNoSignature(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	const sas = "sv=2024-11-04&sig=S3CR3T%3D"
	b := open(t, "BlobEndpoint=http://"+addr+"/acc;SharedAccessSignature="+sas, "stuff")
	_, _, get := b.Get(t.Context(), "x", blob.Range{})
	_, stat := b.Stat(t.Context(), "x")
	_, put := b.PutNew(t.Context(), "x", strings.NewReader("x"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	late := b.Delete(ctx, "x")
	cancel()
	for name, err := range map[string]error{"Prepare": b.Prepare(t.Context()), "List": b.List(t.Context(), "", nil),
		"Delete": b.Delete(t.Context(), "x"), "late Delete": late, "Get": get, "Stat": stat, "PutNew": put} {
		if err == nil || strings.Contains(err.Error(), "S3CR3T") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = blob.Open(t.Context(), "BlobEndpoint=http://"+addr+"/acc;SharedAccessSignature="+sas+"\x7f", "stuff", nil)
	if err == nil || strings.Contains(err.Error(), "S3CR3T") {
		t.Errorf("a signature with a control character: %v", err)
	}
}

// An answer that gets lost: the library sends it again, and the second answer
// says that the object exists. PutNew documents that, and callers compare.
func TestAzureLostAnswer(t *testing.T) {
	t.Parallel()
	n := 0
	b := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Write([]byte("<EnumerationResults><Blobs></Blobs></EnumerationResults>")) //nolint:errcheck // a test
			return
		}
		if n++; n == 1 {
			w.WriteHeader(500)
			return
		}
		w.Header().Set("x-ms-error-code", "BlobAlreadyExists")
		w.WriteHeader(409)
	})
	if _, err := b.PutNew(t.Context(), "x", strings.NewReader("x")); !errors.Is(err, blob.ErrExists) || n != 2 {
		t.Errorf("after %d requests: %v", n, err)
	}
}

// The service answers with 5000 names at a time, and says where to go on.
func TestAzureListsPages(t *testing.T) {
	t.Parallel()
	pages := map[string]string{"": "a b", "second": "", "third": "c"}
	next := map[string]string{"": "second", "second": "third"}
	b := server(t, func(w http.ResponseWriter, r *http.Request) {
		marker := r.URL.Query().Get("marker")
		out := "<EnumerationResults><Blobs>"
		for _, name := range strings.Fields(pages[marker]) {
			out += "<Blob><Name>" + name + "</Name><Properties><Content-Length>7</Content-Length></Properties></Blob>"
		}
		_, _ = io.WriteString(w, out+"</Blobs><NextMarker>"+next[marker]+"</NextMarker></EnumerationResults>")
	})
	if got := list(t, b, ""); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("listed %q", got)
	}
}

// The folders of a Data Lake account are no objects.
func TestAzureSkipsDirectories(t *testing.T) {
	t.Parallel()
	b := openAzurite(t)
	put(t, b, "dir/x", "x")
	_, name, _ := strings.Cut(b.Describe(), "devstoreaccount1/")
	c, err := blob.ContainerClient(testservice.Azurite(t), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	put(t, b, "dir", "")
	if _, err := c.NewBlobClient("dir").SetMetadata(t.Context(), map[string]*string{"hdi_isfolder": to.Ptr("true")}, nil); err != nil {
		t.Fatal(err)
	}
	if got := list(t, b, ""); len(got) != 1 || got[0] != "dir/x" {
		t.Errorf("there is %v", got)
	}
}
