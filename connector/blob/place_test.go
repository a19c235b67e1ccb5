package blob_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"millrace/connector"
	"millrace/connector/blob"
)

func TestPlaceCheck(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]blob.Place{
		"":                              {Container: "c", Path: "a/b-1.x"},
		"container: must be set":        {Path: "a"},
		`path: "" cannot be`:            {Container: "c"},
		`path: "../x" cannot be`:        {Container: "c", Path: "../x"},
		`path: "a b" must be`:           {Container: "c", Path: "a b"},
		`path: "_a" must be letters, d`: {Container: "c", Path: "_a"},
	} {
		problems := p.Check()
		if want == "" {
			if len(problems) > 0 {
				t.Errorf("%+v: %v", p, problems)
			}
			continue
		}
		if len(problems) != 1 || !strings.HasPrefix(problems[0].Error(), want) {
			t.Errorf("%+v: %v, want %s", p, problems, want)
		}
	}
}

func TestPlacePathOf(t *testing.T) {
	t.Parallel()
	p := blob.Place{Path: "events"}
	exact := blob.Place{Path: "events", ExactPath: true}
	for got, want := range map[string]string{p.PathOf("r1") + "!": "events_r1!", p.PathOf(""): "events", exact.PathOf("r1") + "?": "events?"} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// Without an address a place is in the data folder; without that it is nowhere.
func TestPlaceOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := blob.Place{What: "the table", Container: "c", Default: "tables"}
	b, err := p.Open(t.Context(), connector.Env{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if any, err := blob.Any(t.Context(), b, "a/"); any || err != nil {
		t.Errorf("before anything is there: %v, %v", any, err)
	}
	put(t, b, "a/b", "text")
	if path, ok := blob.LocalPath(b, "a/b"); !ok || path != filepath.Join(dir, "tables", "c", "a", "b") {
		t.Errorf("it is at %q", path)
	}
	for prefix, want := range map[string]bool{"a/": true, "": true, "b/": false} {
		if any, err := blob.Any(t.Context(), b, prefix); any != want || err != nil {
			t.Errorf("%q: %v, %v", prefix, any, err)
		}
	}
	elsewhere := p
	elsewhere.Address = t.TempDir()
	if got := elsewhere.AddressIn(dir); got != elsewhere.Address {
		t.Errorf("the configured address became %s", got)
	}
	_, err = p.Open(t.Context(), connector.Env{})
	var hinted *connector.Hinted
	if !errors.As(err, &hinted) || !strings.Contains(err.Error(), "it is not known where to find the table") {
		t.Errorf("nowhere: %v", err)
	}
}
