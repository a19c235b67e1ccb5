package query

import (
	"fmt"
	"time"

	"github.com/dlclark/regexp2"

	"millrace/connector/cosmosdb/local/value"
)

// frame is what expressions are evaluated in: the variables, each with a place
// that was fixed when the query was compiled, and what a run needs to know. It
// is used by one goroutine.
type frame struct {
	vars  []value.Value
	stack []value.Value // arguments of the functions that are being called
	now   time.Time
	// members are those of the item at hand.
	members [memberSets]memberSet
	// memory is how many bytes a value made by the query may take, and held
	// what subqueries hold at the moment.
	memory, held int
	regexes      map[regexKey]*regexp2.Regexp
	// items gives the items of the container to a subquery in FROM that
	// reads them.
	items func(yield func() bool) bool
	// tick is called for every row; it returns false when the run is to end.
	tick func() bool
	// wanted tells why the run is not wanted any more; nil if it cannot be
	// given up, as when constants are computed.
	wanted func() error
	steps  int
	err    error
}

// wantedEvery is after how many steps of expressions a run looks whether it is
// still wanted. A step can take as long as it takes to read an item's 2 MB.
const wantedEvery = 64

// step is called for everything that an expression does; it returns false when
// the run is to end.
func (f *frame) step() bool {
	if f.steps++; f.steps%wantedEvery == 0 && f.wanted != nil && f.err == nil {
		if err := f.wanted(); err != nil {
			f.fail(fmt.Errorf("the query was given up: %w", err))
		}
	}
	return f.err == nil
}

// fail ends the query; the first reason counts.
func (f *frame) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

// roomFor tells whether a value may take so many bytes, and fails if not.
func (f *frame) roomFor(bytes int) bool {
	if bytes > f.memory {
		f.fail(errMemory(f.memory))
		return false
	}
	return f.err == nil
}

// hold counts memory that a subquery takes until release.
func (f *frame) hold(bytes int) bool {
	f.held += bytes
	return f.roomFor(f.held)
}

func (f *frame) release(bytes int) { f.held -= bytes }

func errMemory(limit int) error {
	return badRequest("The query needs more than the %d MB that sorting, grouping and the values it makes may take; filter more, or ask for less at a time.", limit>>20)
}

// row counts a row and tells whether to go on.
func (f *frame) row() bool {
	return f.err == nil && (f.tick == nil || f.tick())
}

// expr computes a value. It must not keep what it finds in the frame.
type expr func(f *frame) value.Value

// call evaluates the arguments and calls fn with them, on the frame's stack.
func (f *frame) call(args []expr, fn func(*frame, []value.Value) value.Value) value.Value {
	base := len(f.stack)
	for _, a := range args {
		v := a(f)
		f.stack = append(f.stack, v)
	}
	result := fn(f, f.stack[base:])
	clear(f.stack[base:])
	f.stack = f.stack[:base]
	return result
}
