package run

import (
	"context"
	"errors"

	"millrace/connector"
	"millrace/connector/delta"
	"millrace/ui/cli"
)

// DeltaTable opens the table that a solution writes, for those who look after
// it. It takes no lock: a table may be looked after while the run goes on.
func DeltaTable(ctx context.Context, q cli.Request) (*delta.Table, error) {
	cfg, ok := q.Solution.Serve.(*delta.Config)
	if !ok {
		return nil, usage("`millrace list` shows which solution has what", "%s serves from %s, not from a Delta table", q.Solution.Name, q.Solution.ServeKind)
	}
	env, err := storeEnv(&q)
	if err != nil {
		return nil, err
	}
	return cfg.OpenTable(ctx, env)
}

// storeEnv is the environment of the store of a run that is not this process's:
// that of a data directory, or one at an address. It takes no lock.
func storeEnv(q *cli.Request) (connector.Env, error) {
	env := connector.Env{Run: q.Run, Getenv: q.Getenv, Log: q.Log}
	if q.DataDir != "" {
		d := &dataDir{path: q.DataDir}
		if err := d.read(q.Run, q.Solution.Name); err != nil {
			return env, err
		}
		env.Run, env.DataDir = d.manifest.Run, d.file("store")
	} else if q.Solution.Serve.Address() == "" {
		return env, usage("give the run's --data-dir, or the store's address in the environment", "there is no store to ask")
	}
	return env, nil
}

// remembering is a store that can be asked of its past.
type remembering interface {
	// QueryAt asks the store as it was at a version or a time.
	QueryAt(ctx context.Context, text, at string) (connector.Rows, error)
}

// ask asks a store, as it was at a moment if one is given.
func ask(ctx context.Context, store connector.Store, text, at string) (connector.Rows, error) {
	if at == "" {
		return store.Query(ctx, text)
	}
	r, ok := store.(remembering)
	if !ok {
		return nil, usage("leave --at away", "%s does not keep its past", store.Describe())
	}
	rows, err := r.QueryAt(ctx, text, at)
	if bad := (*delta.BadTimeError)(nil); errors.As(err, &bad) {
		return nil, usage("a version such as 12, or a time such as 2006-01-02T15:04:05Z", "--at: %w", err)
	}
	return rows, err
}
