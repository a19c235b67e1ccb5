package connectortest

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"

	"millrace/connector"
	"millrace/connector/blob"
)

// Env is what a store of a run sees that has its files in dir: an environment
// without variables, and nobody who reads its log.
func Env(dir, run string) connector.Env {
	return connector.Env{Run: run, DataDir: dir, Getenv: func(string) string { return "" }, Log: slog.New(slog.DiscardHandler)}
}

// NewRun returns a name that no other test uses, of a run or of a container.
func NewRun() string { return fmt.Sprintf("t%012x", rand.Uint64()>>16) }

// NewContainer returns the name of a container of a storage account that no
// other test uses; the end of the test deletes it.
func NewContainer(t testing.TB, account string) string {
	name := NewRun()
	t.Cleanup(func() {
		if c, err := blob.ContainerClient(account, name, nil); err == nil {
			_, _ = c.Delete(context.Background(), nil)
		}
	})
	return name
}

// Prepared opens a store, prepares it and claims partitions. The end of the test
// closes it.
func Prepared(t testing.TB, c connector.StoreConfig, e connector.Env, claim ...int32) connector.Store {
	t.Helper()
	s, err := c.Open(context.Background(), e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(claim) > 0 {
		if _, err := s.Claim(t.Context(), "worker", claim); err != nil {
			t.Fatal(err)
		}
	}
	return s
}
