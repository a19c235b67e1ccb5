package txlog

import (
	"fmt"
	"testing"
	"time"

	"millrace/connector/blob"
	"millrace/connector/connectortest"
	"millrace/internal/testservice"
)

// In a storage account the log behaves as in a folder: tags and times come in
// other forms there.
func TestLogInAStorageAccount(t *testing.T) {
	t.Parallel()
	address := testservice.Azurite(t)
	b, err := blob.Open(t.Context(), address, connectortest.NewContainer(t, address), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	h := &hooked{Bucket: b}
	tb := open(t, h, "a table", Options{NoCheckpoints: true})
	s := created(t, tb, PropLogRetention, "interval 0 days")
	lists := h.count("List")
	for i := range 4 {
		s = commitTo(t, tb, s, Change{Add: files(fmt.Sprint("f ", i)), Txns: []Txn{{AppID: "app", Version: int64(i)}}})
		if got := newest(t, tb); got.Version != s.Version {
			t.Fatalf("%v", got)
		}
	}
	if n := h.count("List"); n != lists {
		t.Errorf("the log was listed %d times more", n-lists)
	}
	if v, err := tb.Checkpoint(t.Context()); err != nil || v != 4 {
		t.Fatal(v, err)
	}
	again := open(t, b, "a table", Options{})
	if got := newest(t, again); state(got) != state(s) || got.checkpoint != 4 {
		t.Errorf("%s\nnot\n%s", state(got), state(s))
	}
	if got, err := again.At(t.Context(), 2); err != nil || got.NumFiles() != 2 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := again.AtTime(t.Context(), time.Now().Add(time.Hour)); err != nil || got.Version != 4 {
		t.Errorf("%v, %v", got, err)
	}
	// The service's clock counts seconds, and may be ahead of ours.
	late := open(t, b, "a table", Options{Now: func() time.Time { return time.Now().Add(time.Hour) }})
	if n, err := late.CleanUp(t.Context()); err != nil || n != 4 {
		t.Errorf("%d, %v", n, err)
	}
	if got := newest(t, open(t, b, "a table", Options{})); state(got) != state(s) {
		t.Errorf("%s", state(got))
	}
	s = commitTo(t, tb, newest(t, tb), Change{Add: files("last")})
	if s.Version != 5 || s.NumFiles() != 5 {
		t.Errorf("%v", s)
	}
}
