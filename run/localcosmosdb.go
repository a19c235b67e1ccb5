package run

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"syscall"

	"millrace/connector"
	cosmosdb "millrace/connector/cosmosdb/local"
	"millrace/connector/cosmosdb/local/web"
	"millrace/ui/cli"
)

// cosmosDBPort is that of every Cosmos DB emulator.
const cosmosDBPort = 8081

// localCosmosDB is `millrace local cosmosdb`.
var localCosmosDB = cli.Local{
	Name: "cosmosdb", Short: "Azure Cosmos DB (NoSQL): REST API, request units, explorer", Port: cosmosDBPort,
	Address: "COSMOSDB_CONNECTION_STRING",
	Long: "Cosmosdb serves Azure Cosmos DB for NoSQL on this machine, for the official SDKs\n" +
		"in gateway mode, with a web page to look at containers and to try queries. What\n" +
		"was acknowledged survives restarts and kill -9; with --sync-writes it survives\n" +
		"the loss of power, too, and writes take longer.\n\n" +
		"Containers may use the request units that they were created with, 400 a second\n" +
		"if nothing was said, and are throttled (429) as the service does it.\n" +
		"--throughput sets that for all of them.\n\n" +
		"Any key is accepted unless one is set, by --key-file or COSMOSDB_KEY; then every\n" +
		"request must be signed with it, the explorer asks for it, and it is printed\n" +
		"nowhere: *** stands for it, with --json as well.",
	Example: "  millrace local cosmosdb\n" +
		"  millrace local cosmosdb --data-dir ./cosmos --throughput -1\n" +
		"  millrace local cosmosdb --tls-cert cert.pem --tls-key key.pem --key-file key",
	Flags: []cli.LocalFlag{
		{Name: "throughput", Doc: "`RU/s` that every container may use, whatever it asked for; 0: as they ask, -1: no limit", Default: "0", Kind: cli.NumberFlag, Min: -1},
		{Name: "sync-writes", Doc: "acknowledge writes when they are on the disk", Kind: cli.SwitchFlag},
		{Name: "key-file", Doc: "`file` with the account key, in base64, that clients must know", Kind: cli.FileFlag},
		{Name: "tls-cert", Doc: "PEM `file` with a certificate, to serve https instead of http", Kind: cli.FileFlag},
		{Name: "tls-key", Doc: "PEM `file` with its key", Kind: cli.FileFlag},
	},
	Start: startLocalCosmosDB,
}

func startLocalCosmosDB(ctx context.Context, o cli.LocalOptions) (connector.Standin, error) {
	c := cosmosdb.Options{DataDir: o.DataDir, Port: o.Port, Throughput: atoi(o.Values["throughput"]),
		SyncWrites: o.Values["sync-writes"] == "true", Log: o.Log}
	var err error
	if c.Key, err = localKey(o, "COSMOSDB_KEY"); err != nil {
		return nil, err
	}
	if _, err := base64.StdEncoding.DecodeString(c.Key); err != nil {
		return nil, usage("for example the output of `head -c 64 /dev/urandom | base64 -w0`", "the account key is not base64")
	}
	if c.TLS, err = localTLS(o.Values["tls-cert"], o.Values["tls-key"]); err != nil {
		return nil, err
	}
	s, err := startCosmosDB(ctx, c)
	if errors.Is(err, syscall.EAGAIN) {
		return nil, usage("stop it, or choose another --data-dir", "the data directory %s is in use by another process", o.DataDir)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// cosmosDB is Cosmos DB with the explorer.
type cosmosDB struct{ *cosmosdb.Server }

// startCosmosDB starts Cosmos DB with the explorer. ctx bounds the start only.
func startCosmosDB(ctx context.Context, o cosmosdb.Options) (*cosmosDB, error) {
	o.Web = func(s *cosmosdb.Server) http.Handler { return web.New(s, web.Options{Log: o.Log}) }
	s, err := cosmosdb.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	return &cosmosDB{s}, nil
}

// Connection implements cli.Explored.
func (s *cosmosDB) Connection() string { return hideAccountKey(s.Address()) }

// Explorer implements cli.Explored.
func (s *cosmosDB) Explorer() string { return s.Endpoint() + strings.TrimPrefix(web.Path, "/") }

// hideAccountKey returns a connection string with *** instead of its key, unless
// that is the one that everybody knows.
func hideAccountKey(connection string) string {
	parts := strings.Split(connection, ";")
	for i, part := range parts {
		name, value, ok := strings.Cut(part, "=")
		if ok && strings.EqualFold(strings.TrimSpace(name), "AccountKey") && value != cosmosdb.WellKnownKey {
			parts[i] = name + "=***"
		}
	}
	return strings.Join(parts, ";")
}

var _ cli.Explored = (*cosmosDB)(nil)
