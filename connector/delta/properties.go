package delta

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"millrace/connector"
	"millrace/connector/delta/txlog"
)

// tableProperties are those of tables that are made here, unless the options
// say otherwise. The format's own defaults are for tables with a commit now and
// then. At one every second, whose small files are soon merged, they would keep
// 2.6 million objects in the log, and 600,000 traces of merged files in each
// checkpoint.
var tableProperties = map[string]string{
	// Readers start from the newest checkpoint, and writers pay for each.
	txlog.PropCheckpointInterval:  "100",
	txlog.PropCheckpointRetention: "interval 1 hour",
	txlog.PropLogRetention:        "interval 3 days",
	txlog.PropFileRetention:       "interval 1 day",
	// The first 32 columns, the default, are used up before partitionId and
	// those of own members of events.
	propStatsColumns: "-1",
}

const propStatsColumns = "delta.dataSkippingNumIndexedCols"

// properties are those of a table that is made now.
func (c *Config) properties() map[string]string {
	p := maps.Clone(tableProperties)
	maps.Copy(p, c.Properties)
	return p
}

// checkProperties finds mistakes that would show only when the table is made.
func (c *Config) checkProperties() (problems []error) {
	for _, key := range slices.Sorted(maps.Keys(c.Properties)) {
		err := txlog.CheckProperty(key, c.Properties[key])
		if key == propForget {
			err = errForgets
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("properties: %w", err))
		}
	}
	return problems
}

// propForget lets other writers drop what applications have written down of
// their progress: a partition without events for as long would start anew.
const propForget = "delta.setTransactionRetentionDuration"

var errForgets = errors.New("with the property " + propForget + " a table forgets positions, so that events could get into it twice")

// remembers refuses a table that forgets positions.
func (s *Store) remembers(m *txlog.Metadata) error {
	if _, ok := m.Configuration[propForget]; !ok {
		return nil
	}
	return &connector.Hinted{Hint: "unset that property, or choose another serve.path", Err: fmt.Errorf("%s: %w", s.Describe(), errForgets)}
}
