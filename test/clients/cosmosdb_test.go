package clients_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/connector/cosmosdb/local"
	"millrace/internal/testservice"
)

// cosmosParts are the files with checks of Cosmos DB, the same in every language.
var cosmosParts = []string{"resources", "items", "batches", "queries", "paging", "changes", "limits", "restarting"}

// accountKey signs the requests of the clients that are right.
var accountKey = base64.StdEncoding.EncodeToString([]byte("a key that only some clients know"))

// cosmos starts servers and returns what the programs need to know, as KEY=value
// pairs.
func cosmos(t *testing.T) []string {
	t.Helper()
	if testing.Short() {
		t.Skip("the matrices take a minute")
	}
	said := &record{}
	log := slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelInfo}))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what the servers said at last:\n%s", said)
		}
	})
	certificate, ca := certificate(t)
	plain := startCosmos(t, local.Options{DataDir: t.TempDir(), Key: accountKey, Log: log})
	secure := startCosmos(t, local.Options{DataDir: t.TempDir(), Key: accountKey, Log: log, TLS: certificate})
	restarted, control := restartable(t, local.Options{DataDir: t.TempDir(), Key: accountKey, Log: log})
	return []string{
		"COSMOSDB_CONNECTION_STRING=" + plain.Address(),
		"COSMOSDB_TLS=" + strings.ReplaceAll(secure.Address(), "127.0.0.1", "localhost"),
		"COSMOSDB_CA=" + ca,
		"COSMOSDB_RESTARTED=" + restarted,
		"COSMOSDB_CONTROL=" + control,
	}
}

func startCosmos(t *testing.T, options local.Options) *local.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server, err := local.Start(ctx, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server
}

// restartable starts a server that POST /stop and /start of the URL control
// close and start again, on the same directory and port.
func restartable(t *testing.T, options local.Options) (address, control string) {
	t.Helper()
	server := startCosmos(t, options)
	if _, err := fmt.Sscanf(server.HostPort(), "127.0.0.1:%d", &options.Port); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	answer := func(w http.ResponseWriter, err error) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /stop", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		answer(w, server.Close())
	})
	mux.HandleFunc("POST /start", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		next, err := local.Start(r.Context(), options)
		if err == nil {
			server = next
		}
		answer(w, err)
	})
	controller := httptest.NewServer(mux)
	t.Cleanup(func() {
		controller.Close()
		mu.Lock()
		defer mu.Unlock()
		_ = server.Close()
	})
	return server.Address(), controller.URL
}

func TestCosmosDBWithJavaScript(t *testing.T) {
	program, modules := testservice.Node(t)
	env := append(cosmos(t), "NODE_PATH="+modules)
	matrix(t, inFolder("cosmosdb/"), env, program, filepath.Join("js", "matrix.js"))
}

func TestCosmosDBWithPython(t *testing.T) {
	program := testservice.Python(t)
	matrix(t, inFolder("cosmosdb."), cosmos(t), program, "-B", filepath.Join("python", "matrix.py"))
}

// inFolder returns cosmosParts with what precedes a part's name.
func inFolder(prefix string) []string {
	var all []string
	for _, part := range cosmosParts {
		all = append(all, prefix+part)
	}
	return all
}
