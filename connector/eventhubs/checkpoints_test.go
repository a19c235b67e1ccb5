package eventhubs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/connector"
	"millrace/internal/testservice"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// eachStore runs a test on the folder and on the SDK's own store, which is the
// measure of what the folder has to do.
func eachStore(t *testing.T, fn func(t *testing.T, open func(t testing.TB) *stores)) {
	env := connector.Env{Getenv: func(string) string { return "" }}
	t.Run("folder", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		fn(t, func(t testing.TB) *stores { return openForTest(t, &Checkpoints{Storage: dir, Container: "c"}, env) })
	})
	t.Run("azurite", func(t *testing.T) {
		t.Parallel()
		address := testservice.Azurite(t)
		container := fmt.Sprintf("checkpoints-%d", time.Now().UnixNano())
		fn(t, func(t testing.TB) *stores {
			return openForTest(t, &Checkpoints{Storage: address, Container: container}, env)
		})
	})
}

func openForTest(t testing.TB, c *Checkpoints, env connector.Env) *stores {
	t.Helper()
	s, err := openStores(context.Background(), c, env, false)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func own(p, owner string, tag *azcore.ETag) azeventhubs.Ownership {
	return azeventhubs.Ownership{FullyQualifiedNamespace: "ns.example:5671", EventHubName: "hub", ConsumerGroup: "$Default",
		PartitionID: p, OwnerID: owner, ETag: tag}
}

func TestOwnership(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, open func(testing.TB) *stores) {
		a, b, ctx := open(t), open(t), context.Background()
		list := func() []azeventhubs.Ownership {
			t.Helper()
			l, err := a.ListOwnership(ctx, "ns.example:5671", "hub", "$Default", nil)
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		claim := func(s *stores, o ...azeventhubs.Ownership) []azeventhubs.Ownership {
			t.Helper()
			got, err := s.ClaimOwnership(ctx, o, nil)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if l := list(); len(l) != 0 {
			t.Errorf("owners of nothing: %v", l)
		}
		got := claim(a, own("0", "a", nil), own("1", "a", nil))
		if len(got) != 2 || got[0].ETag == nil || time.Since(got[0].LastModifiedTime).Abs() > time.Minute {
			t.Fatalf("claimed %+v", got)
		}
		// What is there cannot be claimed as new, nor with an old tag.
		if l := claim(b, own("0", "b", nil)); len(l) != 0 {
			t.Errorf("claimed what is another's: %v", l)
		}
		stolen := claim(b, own("0", "b", got[0].ETag))
		if len(stolen) != 1 || *stolen[0].ETag == *got[0].ETag {
			t.Fatalf("claimed %+v", stolen)
		}
		if l := claim(a, own("0", "a", got[0].ETag), own("1", "a", got[1].ETag)); len(l) != 1 || l[0].PartitionID != "1" {
			t.Errorf("renewed %v, want partition 1", l)
		}
		// Giving up leaves an empty owner.
		if l := claim(b, own("0", "", stolen[0].ETag)); len(l) != 1 {
			t.Error("could not give up")
		}
		owners := map[string]string{}
		for _, o := range list() {
			owners[o.PartitionID] = o.OwnerID
		}
		if len(owners) != 2 || owners["0"] != "" || owners["1"] != "a" {
			t.Errorf("owners are %v", owners)
		}
		if l, err := a.ListOwnership(ctx, "ns.example:5671", "hub", "other", nil); err != nil || len(l) != 0 {
			t.Errorf("owners in another group: %v, %v", l, err)
		}
		if err := a.forget(ctx, "ns.example:5671", "hub"); err != nil {
			t.Fatal(err)
		}
		if l := list(); len(l) != 0 {
			t.Errorf("after forgetting: %v", l)
		}
	})
}

func TestCheckpoints(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, open func(testing.TB) *stores) {
		s, ctx := open(t), context.Background()
		of, err := s.positions(ctx, "ns", "hub", "g")
		if err != nil || len(of) != 0 {
			t.Errorf("positions of nothing: %v, %v", of, err)
		}
		for _, n := range []int64{5, 1 << 40, 7} {
			for p := range 3 {
				err := s.SetCheckpoint(ctx, azeventhubs.Checkpoint{FullyQualifiedNamespace: "ns", EventHubName: "hub", ConsumerGroup: "g",
					PartitionID: fmt.Sprint(p), SequenceNumber: ptr(n + int64(p)), Offset: ptr("offset")}, nil)
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		of, err = open(t).positions(ctx, "ns", "hub", "g")
		if err != nil || fmt.Sprint(of) != "map[0:8 1:9 2:10]" {
			t.Errorf("positions: %v, %v", of, err)
		}
		list, err := s.ListCheckpoints(ctx, "ns", "hub", "g", nil)
		if err != nil || len(list) != 3 || *list[0].Offset != "offset" {
			t.Errorf("checkpoints: %v, %v", list, err)
		}
	})
}

// Many claim at once, each with the tag they have seen: for every tag, one
// wins.
func TestClaimsExcludeEachOther(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, open func(testing.TB) *stores) {
		ctx := context.Background()
		const claimers, rounds = 8, 20
		all := make([]*stores, claimers)
		for i := range all {
			all[i] = open(t)
		}
		var tag *azcore.ETag
		for range rounds {
			var mu sync.Mutex
			var won []azeventhubs.Ownership
			var wg sync.WaitGroup
			for i, s := range all {
				wg.Go(func() {
					got, err := s.ClaimOwnership(ctx, []azeventhubs.Ownership{own("0", fmt.Sprint(i), tag)}, nil)
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					won = append(won, got...)
				})
			}
			wg.Wait()
			if len(won) != 1 {
				t.Fatalf("%d of %d won", len(won), claimers)
			}
			tag = won[0].ETag
		}
	})
}

// The folder's names are those of the blobs; what a kill leaves behind is
// harmless.
func TestFolderLayout(t *testing.T) {
	t.Parallel()
	dir, ctx := t.TempDir(), context.Background()
	f, err := newFolderStore(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.ClaimOwnership(ctx, []azeventhubs.Ownership{own("0", "me", nil)}, nil); err != nil {
		t.Fatal(err)
	}
	if err := f.SetCheckpoint(ctx, azeventhubs.Checkpoint{FullyQualifiedNamespace: "ns.example:5671", EventHubName: "hub", ConsumerGroup: "$Default",
		PartitionID: "0", SequenceNumber: ptr(int64(3)), Offset: ptr("33")}, nil); err != nil {
		t.Fatal(err)
	}
	// The port of a local service changes, its namespace does not.
	base := filepath.Join(dir, "ns.example", "hub", "$Default")
	b, err := os.ReadFile(filepath.Join(base, "checkpoint", "0"))
	if err != nil || !strings.Contains(string(b), `"metadata":{"offset":"33","sequencenumber":"3"}`) {
		t.Errorf("%s, %v", b, err)
	}
	for name, text := range map[string]string{"1": "", "2": `{"etag":"x"`, ".new-3-1": "{}"} {
		if err := os.WriteFile(filepath.Join(base, "ownership", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := f.ListOwnership(ctx, "ns.example:1", "hub", "$Default", nil)
	if err != nil || len(l) != 1 || l[0].OwnerID != "me" {
		t.Errorf("owners: %v, %v", l, err)
	}
	if got, err := f.ClaimOwnership(ctx, []azeventhubs.Ownership{own("1", "me", nil)}, nil); err != nil || len(got) != 1 {
		t.Errorf("a file cut short cannot be claimed: %v, %v", got, err)
	}
	for _, part := range []string{"..", ".", "a/b", `a\b`, "a:b", "%2e"} {
		if name := fileName(part); strings.ContainsAny(name, `/:\`) || strings.Trim(name, ".") == "" {
			t.Errorf("%q is the file %q", part, name)
		}
	}
}

// Checkpoints need a place; the data directory is one.
func TestPlaceForCheckpoints(t *testing.T) {
	t.Parallel()
	_, err := openStores(context.Background(), &Checkpoints{}, connector.Env{Getenv: func(string) string { return "" }}, false)
	if err == nil || !strings.Contains(err.Error(), "no place for checkpoints") {
		t.Errorf("without any place: %v", err)
	}
	dir := t.TempDir()
	s, err := openStores(context.Background(), &Checkpoints{}, connector.Env{DataDir: dir, Getenv: func(string) string { return "" }}, false)
	if err != nil || !strings.Contains(s.where, dir) {
		t.Errorf("in the data directory: %+v, %v", s, err)
	}
}
