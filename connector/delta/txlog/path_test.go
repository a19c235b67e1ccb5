package txlog

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPathsAreDecodedOnce(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"part-00000-1a9bdbc4-c000.snappy.parquet": "part-00000-1a9bdbc4-c000.snappy.parquet",
		"at=2021-09-08%2011%253A11%253A11/x":      "at=2021-09-08 11%3A11%3A11/x",
		"_2=bar+%252521/x":                        "_2=bar+%2521/x",
		"a+b":                                     "a+b",
		"%41":                                     "A",
		"%C3%bc":                                  "ü",
		"ü":                                       "ü",
		"a b":                                     "a b", // as careless writers have it
		"a%2Fb":                                   "a/b",
		"s3://bucket/a%20b":                       "s3://bucket/a%20b",
		"file:/a%20b":                             "file:/a%20b",
		"/abs/a%20b":                              "/abs/a%20b",
		"day=__HIVE_DEFAULT_PARTITION__/a":        "day=__HIVE_DEFAULT_PARTITION__/a",
		"day=%25C3%25BC%252F%252521/part-00000-c000.parquet": "day=%C3%BC%2F%2521/part-00000-c000.parquet",
	} {
		if got, err := decodePath(raw); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", raw, got, err, want)
		}
	}
	for _, raw := range []string{"", "%", "a%2", "a%zz", "%ff", "%2Fetc", "s3%3A//x"} {
		if got, err := decodePath(raw); err == nil {
			t.Errorf("%q became %q", raw, got)
		}
	}
	for path, want := range map[string]bool{"a/b": false, "a:b": false, "s3://a": true, "/a": true, "wasbs://c@a/x": true, "1:/a": false, "": false, "a": false} {
		if isAbsolute(path) != want {
			t.Errorf("%q: absolute is %v", path, !want)
		}
	}
}

func FuzzPaths(f *testing.F) {
	for _, s := range []string{"a%20b", "%2525", "ü", "x:y", "s3://a/%20", "a+b=c/d", "%zz", "\x00", "a%2fb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		// Any name survives the way into the log and back.
		if utf8.ValidString(s) && s != "" && !isAbsolute(s) {
			raw := encodePath(s)
			if got, err := decodePath(raw); err != nil || got != s {
				t.Fatalf("%q is written %q and read as %q, %v", s, raw, got, err)
			}
			if i := strings.IndexFunc(raw, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"<>\^{|}?#:`, r) }); i >= 0 {
				t.Fatalf("%q is written %q, which is no URI", s, raw)
			}
		}
		// What others have written is written back as it was.
		path, raw, err := paths(s)
		if err != nil {
			return
		}
		if back := (&Add{Path: path, raw: raw}).rawPath(); back != s {
			t.Fatalf("%q is written back as %q", s, back)
		}
	})
}
