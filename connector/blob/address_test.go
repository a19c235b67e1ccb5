package blob

import (
	"errors"
	"strings"
	"testing"

	"millrace/connector"
)

func TestParseAccount(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		address string
		want    account
	}{
		{"AccountName=acc;AccountKey=a2V5", account{url: "https://acc.blob.core.windows.net/", name: "acc", key: "a2V5"}},
		{"DefaultEndpointsProtocol=http;AccountName=acc;AccountKey=a2V5Cg==;EndpointSuffix=core.chinacloudapi.cn;",
			account{url: "http://acc.blob.core.chinacloudapi.cn/", name: "acc", key: "a2V5Cg=="}},
		{" accountname = acc ; accountkey=k ; BLOBENDPOINT=http://127.0.0.1:1/acc", account{url: "http://127.0.0.1:1/acc/", name: "acc", key: "k"}},
		{"BlobEndpoint=https://acc.blob.core.windows.net;SharedAccessSignature=?sv=1&sig=x%3D", account{url: "https://acc.blob.core.windows.net/", sas: "sv=1&sig=x%3D"}},
		{"BlobEndpoint=https://acc.blob.core.windows.net/?sv=1&sig=y", account{url: "https://acc.blob.core.windows.net/", sas: "sv=1&sig=y"}},
		{"AccountName=acc;SharedAccessSignature=sv=1&sig=x", account{url: "https://acc.blob.core.windows.net/", name: "acc", sas: "sv=1&sig=x"}},
		{"UseDevelopmentStorage=true", account{url: "http://127.0.0.1:10000/devstoreaccount1/", name: devAccount, key: devKey}},
		{"UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://storage", account{url: "http://storage:10000/devstoreaccount1/", name: devAccount, key: devKey}},
		{"https://acc.blob.core.windows.net", account{url: "https://acc.blob.core.windows.net/"}},
		{"https://acc.dfs.core.windows.net/", account{url: "https://acc.blob.core.windows.net/"}},
		{"https://acc.blob.core.windows.net/?sv=1&sig=z", account{url: "https://acc.blob.core.windows.net/", sas: "sv=1&sig=z"}},
	} {
		got, err := parseAccount(tt.address)
		if err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v", tt.address, got, err)
		}
		if IsFolder(tt.address) {
			t.Errorf("%s is taken for a folder", tt.address)
		}
		if _, err := Open(t.Context(), tt.address, "stuff", nil); err != nil && tt.want.key != "k" {
			t.Errorf("%s: %v", tt.address, err)
		}
	}
}

func TestParseAccountErrors(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"", "AccountName=acc", "AccountKey=SECRET", "AccountName=acc;AccountKey=SECRET;x", "EndpointSuffix=x;AccountName=;AccountKey=SECRET",
		"BlobEndpoint=ftp://x;AccountName=a;AccountKey=SECRET", "BlobEndpoint=:%SECRET", "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=:",
		"UseDevelopmentStorage=false", "http://127.0.0.1:1/acc", "https://user:SECRET@acc", "https://%zz?sig=SECRET", "https://",
	} {
		_, err := parseAccount(address)
		var hint *connector.Hinted
		if !errors.As(err, &hint) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", address, err)
		}
	}
	if _, err := Open(t.Context(), "AccountName=acc;AccountKey=SECRET is not base64", "stuff", nil); err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("%v", err)
	}
	if _, err := Open(t.Context(), "UseDevelopmentStorage=true", "", nil); !errors.Is(err, errNoContainer) {
		t.Errorf("%v", err)
	}
}

func TestAddressKinds(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"": false, "data": true, "/var/data": true, "./a=b": true, "C:\\data": true, "file:///a%20b": true, "a;b": true,
		"AccountName=x": false, "x=1;blobendpoint=y": false, "https://x": false, "HTTP://x": false,
	} {
		if got := IsFolder(address); got != want {
			t.Errorf("IsFolder(%q) = %v", address, got)
		}
	}
	if got := folderPath("file:///a%20b/c"); got != "/a b/c" {
		t.Errorf("path %q", got)
	}
	// From the environment, if there is no address.
	dir := t.TempDir()
	b, err := Open(t.Context(), "", "c", func(key string) string {
		if key != EnvConnectionString {
			return ""
		}
		return dir
	})
	if err != nil || !strings.HasPrefix(b.Describe(), "folder "+dir) {
		t.Errorf("%v, %v", b, err)
	}
	if _, err := Open(t.Context(), dir, "../c", nil); err == nil {
		t.Error("a container outside")
	}
}

func TestCheckContainer(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"abc": true, "a-b-c": true, "streamingatscale": true, "1-2": true, strings.Repeat("a", 63): true,
		"": false, "ab": false, "Abc": false, "a--b": false, "-ab": false, "ab-": false, "a_b": false, strings.Repeat("a", 64): false, "a/b": false,
	} {
		if err := CheckContainer(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// No address makes it panic, or shows what may be a secret.
func FuzzParseAccount(f *testing.F) {
	for _, s := range []string{"AccountName=a;AccountKey=S3CR3T", "UseDevelopmentStorage=true", "https://a.dfs.core.windows.net?sig=S3CR3T",
		"BlobEndpoint=http://x/y;SharedAccessSignature=S3CR3T", "file:///x", "AccountKey=S3CR3T;AccountName=a;BlobEndpoint=:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if IsFolder(s) {
			folderPath(s)
			return
		}
		a, err := parseAccount(s)
		if err != nil {
			if strings.Contains(err.Error(), "S3CR3T") {
				t.Errorf("shown: %v", err)
			}
			return
		}
		if !strings.HasSuffix(a.url, "/") || a.key != "" && a.name == "" || a.key == "" && a.sas == "" && !strings.HasPrefix(a.url, "https://") {
			t.Errorf("%q: %+v", s, a)
		}
	})
}

func FuzzCheckName(f *testing.F) {
	for _, s := range []string{"a/b", "..", "a/../b", "a\\b", "/a", "a.", ".incomplete"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if CheckName(s) != nil {
			return
		}
		if s == "" || s[0] == '/' || strings.Contains("/"+s+"/", "/../") || strings.Contains(s, "//") {
			t.Errorf("%q is allowed", s)
		}
	})
}
