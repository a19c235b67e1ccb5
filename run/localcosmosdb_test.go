package run

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"millrace/connector"
	"millrace/ui/cli"
)

// cosmosOptions are what the command line passes on without flags.
func cosmosOptions(dir string, change func(*cli.LocalOptions)) cli.LocalOptions {
	o := cli.LocalOptions{DataDir: dir, Values: map[string]string{"throughput": "0", "sync-writes": "false"},
		Given: func(string) bool { return false }, Getenv: func(string) string { return "" }, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&o)
	}
	return o
}

func startCosmos(t *testing.T, o cli.LocalOptions) *cosmosDB {
	t.Helper()
	s, err := startLocalCosmosDB(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s.(*cosmosDB)
}

func TestLocalCosmosDB(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startCosmos(t, cosmosOptions(dir, func(o *cli.LocalOptions) { o.Values["sync-writes"] = "true" }))
	if s.Connection() != s.Address() || !strings.HasPrefix(s.Connection(), "AccountEndpoint=http://127.0.0.1:") {
		t.Errorf("%s", s.Connection())
	}
	client, err := azcosmos.NewClientFromConnectionString(s.Connection(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateDatabase(t.Context(), azcosmos.DatabaseProperties{ID: "db"}, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Explorer(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if page, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 || !strings.Contains(string(page), "<title>Cosmos DB") {
		t.Errorf("%v %d %.200s", err, resp.StatusCode, page)
	}
	// The port is taken.
	var taken *connector.Unreachable
	_, port, err := net.SplitHostPort(s.HostPort())
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(port)
	if _, err := startLocalCosmosDB(t.Context(), cosmosOptions(t.TempDir(), func(o *cli.LocalOptions) { o.Port = n })); !errors.As(err, &taken) ||
		!strings.Contains(err.Error(), "is taken") || taken.Hint == "" {
		t.Errorf("%v", err)
	}
	// What it holds is there when it is started again.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if again, err := startCosmos(t, cosmosOptions(dir, nil)).Contents(); err != nil || len(again) != 1 {
		t.Errorf("%v %+v", err, again)
	}
}

// A key that is set is needed and never shown.
func TestLocalCosmosDBWithAKey(t *testing.T) {
	t.Parallel()
	const key = "aHVzaA=="
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*cli.LocalOptions){
		"file": func(o *cli.LocalOptions) { o.Values["key-file"] = file },
		"environment": func(o *cli.LocalOptions) {
			o.Getenv = func(name string) string { return map[string]string{"COSMOSDB_KEY": key}[name] }
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := startCosmos(t, cosmosOptions(t.TempDir(), change))
			if !strings.HasSuffix(s.Connection(), ";AccountKey=***;") || strings.Contains(s.Connection()+s.Explorer()+s.Endpoint(), key) {
				t.Errorf("%s", s.Connection())
			}
			for given, ok := range map[string]bool{key: true, "d3Jvbmc=": false} {
				client, err := azcosmos.NewClientFromConnectionString("AccountEndpoint="+s.Endpoint()+";AccountKey="+given+";",
					&azcosmos.ClientOptions{ClientOptions: azcore.ClientOptions{Retry: policy.RetryOptions{MaxRetries: -1}}})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := client.CreateDatabase(t.Context(), azcosmos.DatabaseProperties{ID: "db"}, nil); (err == nil) != ok {
					t.Errorf("with %s: %v", given, err)
				}
			}
		})
	}
	var wrong *cli.UsageError
	_, err := startLocalCosmosDB(t.Context(), cosmosOptions(t.TempDir(), func(o *cli.LocalOptions) { o.Getenv = func(string) string { return "not base64!" } }))
	if !errors.As(err, &wrong) || strings.Contains(err.Error(), "not base64!") {
		t.Errorf("%v", err)
	}
}

func TestHideAccountKey(t *testing.T) {
	t.Parallel()
	const known = "AccountEndpoint=http://h/;AccountKey=C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==;"
	for in, want := range map[string]string{
		"AccountEndpoint=http://h/;AccountKey=abc==;": "AccountEndpoint=http://h/;AccountKey=***;",
		"accountkey=x": "accountkey=***",
		known:          known,
		"":             "",
	} {
		if got := hideAccountKey(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}
