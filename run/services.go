package run

import (
	"context"
	"errors"
	"fmt"

	"millrace/connector"
	"millrace/connector/eventhubs"
	"millrace/internal/solution"
	"millrace/serve"
	"millrace/ui/cli"
)

// services are the log, the store and the dead letters of a run.
type services struct {
	log        connector.Log
	store      connector.Store
	dead       connector.DeadLetters
	partitions int
	// elsewhere says that a service which this run does not set up archives
	// its log.
	elsewhere bool
	ingest    string // for people
	life      lifecycle
	standins  map[string]connector.Standin
}

// open opens the services, starting stand-ins for kinds without an address.
// On failure it stops what it started.
func open(ctx context.Context, q *cli.Request, d *dataDir) (*services, error) {
	s := &services{standins: make(map[string]connector.Standin)}
	if err := s.open(ctx, q, d); err != nil {
		return nil, errors.Join(err, s.life.stop())
	}
	return s, nil
}

func (s *services) open(ctx context.Context, q *cli.Request, d *dataDir) error {
	sol := q.Solution
	if err := checkCapture(sol); err != nil {
		return err
	}
	if out, ok := sol.Serve.(*eventhubs.StoreConfig); ok {
		if in, ok := sol.Ingest.(*eventhubs.Config); ok && out.SameHub(in) {
			return usage("set EVENTHUBS_OUT_CONNECTION_STRING, or use connection strings without EntityPath and two names",
				"the results would go to the hub that they come from")
		}
	}
	fixArchive(sol)
	env := connector.Env{Run: d.manifest.Run, DataDir: d.file("store"), Getenv: q.Getenv, Log: q.Log}
	s.elsewhere = sol.ProcessKind == captureKind && sol.Ingest.Address() != ""
	local, err := s.standin(ctx, sol.IngestKind, sol.Ingest, q, d)
	if err != nil {
		return err
	}
	if s.log, err = sol.Ingest.Open(ctx, env); err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	s.life.started("the log's client", s.log.Close)
	s.ingest = s.log.Describe()
	if local {
		s.ingest += " (embedded)"
	}
	if _, err = s.standin(ctx, sol.ServeKind, sol.Serve, q, d); err != nil {
		return err
	}
	if s.store, err = sol.Serve.Open(ctx, env); err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	s.life.started("the store", s.store.Close)
	if s.dead, err = openDeadLetters(ctx, q, d, env); err != nil {
		return err
	}
	s.life.started("the dead letters", s.dead.Close)
	return nil
}

// addressed is what log and store configurations have in common.
type addressed interface {
	Address() string
	SetAddress(addr string)
}

// standin points cfg at the stand-in of its kind if it has no address. A log
// and a store of one kind share a stand-in.
func (s *services) standin(ctx context.Context, kind string, cfg addressed, q *cli.Request, d *dataDir) (started bool, err error) {
	start := standins[kind]
	if cfg.Address() != "" || start == nil {
		return false, nil
	}
	local := s.standins[kind]
	if local == nil {
		if local, err = start(ctx, q, d, q.Log); err != nil {
			return false, fmt.Errorf("starting the embedded %s: %w", kind, err)
		}
		s.life.started("the embedded "+kind, local.Close)
		s.standins[kind] = local
	}
	address := local.Address()
	if out, ok := local.(outAddress); ok {
		if _, store := cfg.(connector.StoreConfig); store {
			address = out.OutAddress()
		}
	}
	cfg.SetAddress(address)
	return true, nil
}

func openDeadLetters(ctx context.Context, q *cli.Request, d *dataDir, env connector.Env) (connector.DeadLetters, error) {
	if q.Solution.DeadLetters.(*solution.DeadLetters).To == solution.ToTopic {
		dead, err := q.Solution.Ingest.OpenDeadLetters(ctx, env, "deadletter")
		if err != nil {
			return nil, fmt.Errorf("opening the dead letters: %w", err)
		}
		if dead == nil {
			return nil, usage("say --set deadLetters.to=file", "%s has no place for dead letters", q.Solution.IngestKind)
		}
		return dead, nil
	}
	return serve.OpenDeadLetterFile(d.file("deadletters.jsonl"))
}

func (s *services) prepareLog(ctx context.Context) error {
	if s.elsewhere {
		if err := s.capturedHub(ctx); err != nil {
			return err
		}
	}
	n, err := s.log.Prepare(ctx)
	if err != nil {
		return fmt.Errorf("preparing the log: %w", err)
	}
	s.partitions = n
	return nil
}

func (s *services) prepareStore(ctx context.Context) error {
	if err := s.store.Prepare(ctx); err != nil {
		return fmt.Errorf("preparing the store: %w", err)
	}
	return nil
}

// drop deletes what the run created in outside services.
func (s *services) drop(ctx context.Context) error {
	return errors.Join(s.log.Drop(ctx), s.store.Drop(ctx))
}
