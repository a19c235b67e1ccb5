package archive

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"millrace/connector"
	"millrace/connector/blob"
)

// flaky is a bucket with one object, whose reads break off after a few bytes.
type flaky struct {
	blob.Bucket
	content []byte
	// most is how much a read gives before it breaks; opened counts them.
	most, opened int
	tag          string
	err          error
}

func (f *flaky) Get(_ context.Context, _ string, r blob.Range) (io.ReadCloser, blob.Info, error) {
	f.opened++
	info := blob.Info{Name: "x", Size: int64(len(f.content)), ETag: f.tag}
	rest := f.content[r.Offset:]
	return io.NopCloser(io.MultiReader(bytes.NewReader(rest[:min(f.most, len(rest))]), failing{f.err})), info, nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestReadsAreTakenUpWhereTheyBroke(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("0123456789"), 30)
	broken := connector.Retryable(errors.New("the connection is gone"), 0)
	for _, tt := range []struct {
		name   string
		bucket *flaky
		fails  bool
	}{
		{"whole", &flaky{most: 1000, err: io.EOF}, false},
		{"broken", &flaky{most: 110, err: broken}, false},
		{"ends early", &flaky{most: 110, err: io.EOF}, false},
		{"refused", &flaky{most: 110, err: errors.New("no")}, true},
		{"replaced", &flaky{most: 1000, err: io.EOF, tag: "other"}, true},
		{"quoted", &flaky{most: 1000, err: io.EOF, tag: `"tag"`}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.bucket.content = content
			if tt.bucket.tag == "" {
				tt.bucket.tag = "tag"
			}
			r := &resuming{ctx: context.Background(), bucket: tt.bucket, info: blob.Info{Size: int64(len(content)), ETag: "tag"}}
			got, err := io.ReadAll(r)
			if (err != nil) != tt.fails || err == nil && !bytes.Equal(got, content) {
				t.Errorf("%d bytes of %d, %v", len(got), len(content), err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := &resuming{ctx: ctx, bucket: &flaky{content: content, most: 0, err: broken, tag: "tag"}, info: blob.Info{Size: 10, ETag: "tag"}}
	if _, err := io.ReadAll(r); err == nil {
		t.Error("it goes on after its context has ended")
	}
}
