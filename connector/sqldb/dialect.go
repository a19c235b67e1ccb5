package sqldb

import (
	"context"
	"errors"

	"millrace/connector"
	"millrace/record"
)

// dialect is one kind of database. Its methods may be called concurrently;
// their errors have been through its one classifying function, so that they
// say what to do next (connector.Error), or are errMoved or a *refusedError.
type dialect interface {
	describe() string
	traits() connector.Traits
	// prepare creates what is missing; several processes may do so at once.
	prepare(ctx context.Context) error
	// drop removes what prepare created.
	drop(ctx context.Context) error
	// claim gives the partitions to worker under an epoch that none of them
	// had before, in one transaction.
	claim(ctx context.Context, worker string, partitions []int32) (map[int32]ownership, error)
	// owners reads the current owners.
	owners(ctx context.Context, partitions []int32) (map[int32]ownership, error)
	// write does a unit in one transaction; errMoved if the positions or
	// epochs are not those that the unit expects (nothing is stored then).
	write(ctx context.Context, u *unit) (connector.Receipt, error)
	// count tells how many of the results are in the table as they are (same
	// eventId, same position), and the latest storedAt among them.
	count(ctx context.Context, results []record.Result) (n int, storedAt int64, err error)
	// probe stores results and takes them back: does the database refuse one?
	probe(ctx context.Context, results []record.Result) error
	// scan hands over all rows in pages, possibly from several goroutines at
	// once; emit takes the page over.
	scan(ctx context.Context, emit func(*page) error) error
	query(ctx context.Context, text string) (connector.Rows, error)
	close() error
}

// ownership is a row of the table of positions.
type ownership struct {
	worker          string
	epoch, position int64
}

// unit is a Write with the epochs under which its partitions are owned.
type unit struct {
	results  []record.Result
	advances []move
}

// move is an Advance with its partition's epoch.
type move struct {
	connector.Advance
	epoch int64
}

// ready tells whether a move can still be made: the partition is held by the
// epoch and stands where the move starts. A partition of which nothing was
// known starts anywhere.
func (m move) ready(o ownership) bool {
	return o.epoch == m.epoch && (o.position == m.From || o.position == connector.Unknown)
}

// made tells whether the move has been made by this very epoch.
func (m move) made(o ownership) bool {
	return o.epoch == m.epoch && o.position == m.To && m.From != m.To
}

func (u *unit) partitions() []int32 {
	out := make([]int32, len(u.advances))
	for i, m := range u.advances {
		out[i] = m.Partition
	}
	return out
}

// ready returns errMoved unless all moves can be made.
func (u *unit) ready(owners map[int32]ownership) error {
	for _, m := range u.advances {
		if o, ok := owners[m.Partition]; !ok || !m.ready(o) {
			return errMoved
		}
	}
	return nil
}

// errMoved says that a position or an epoch is not what a unit expects.
var errMoved = errors.New("the positions are not what the write expects")

// refusedError says that the database refuses the content of some row.
type refusedError struct{ err error }

func (e *refusedError) Error() string { return e.err.Error() }
func (e *refusedError) Unwrap() error { return e.err }
