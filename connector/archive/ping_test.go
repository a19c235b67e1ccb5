package archive

import (
	"errors"
	"os"
	"testing"

	"millrace/connector"
)

// TestPing: asking whether an archive can be used makes nothing, and takes a
// place without files for an empty archive.
func TestPing(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	env := connector.Env{DataDir: a.root, Log: a.open().env.Log}
	empty := *NewConfig()
	empty.Storage = t.TempDir()
	if err := empty.Ping(t.Context(), env); err != nil {
		t.Errorf("an empty place: %v", err)
	}
	if left, err := os.ReadDir(empty.Storage); err != nil || len(left) > 0 {
		t.Errorf("asking made %v, %v", left, err)
	}
	a.put("ns/telemetry/0/2026/11/22/10/00/07", []byte("Obj"), began)
	if err := a.cfg.Ping(t.Context(), env); err != nil {
		t.Errorf("an archive: %v", err)
	}
	away := *NewConfig()
	away.Storage = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=c2VjcmV0;BlobEndpoint=http://127.0.0.1:1/a"
	var u *connector.Unreachable
	if err := away.Ping(t.Context(), env); !errors.As(err, &u) {
		t.Errorf("nobody there: %v", err)
	}
}
