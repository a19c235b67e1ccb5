package main

import (
	"millrace/connector"
	"millrace/connector/kafka"
	"millrace/connector/sqldb"
	"millrace/internal/solution"
	"millrace/process"
	"millrace/verify"
)

// catalogue lists the kinds that a solution can be made of: one import and
// one line for each.
func catalogue() solution.Registry {
	return solution.Registry{
		Ingest: map[string]func() connector.LogConfig{
			kafka.Kind: func() connector.LogConfig { return kafka.NewConfig() },
		},
		Process: map[string]func() any{
			"relay": func() any { return process.NewRelayConfig() },
		},
		Serve: map[string]func() connector.StoreConfig{
			sqldb.Kind: func() connector.StoreConfig { return sqldb.NewConfig() },
		},
		Verify:      func() any { c := verify.Defaults(); return &c },
	}
}
