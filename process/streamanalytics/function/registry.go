package function

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

// Func computes one call from the values of its arguments. A time unit is not
// among them. It does not keep args, which the caller may reuse. It is safe
// for concurrent use. An error names the function and the value it could not
// take, as a sentence for the author of the query.
type Func func(args []value.Value) (value.Value, error)

// Scalar describes a scalar function.
type Scalar struct {
	// Name is the name as the documentation spells it.
	Name string
	// Unit tells that a time unit stands before the arguments. It is not counted
	// by MinArgs and MaxArgs and is no part of a Func's args.
	Unit bool
	// MinArgs and MaxArgs bound the number of arguments; MaxArgs is -1 if there
	// is no upper bound.
	MinArgs, MaxArgs int
	// Params are the kinds that the arguments should have, value.Null where any
	// kind will do; the last one holds for all that follow. A bigint may stand
	// for a float, and a text of ISO 8601 for a datetime.
	Params []value.Kind
	// Result is the kind of the result, value.Null if that depends on the
	// arguments. Any function may return NULL.
	Result value.Kind

	compile func(Call) (Func, error)
}

// Call is what is known of one call of a function before the first row comes.
type Call struct {
	// Unit is the time unit of functions that have one.
	Unit syntax.TimeUnit
	// Level is the compatibility level of the job.
	Level value.Level
	// Consts are the arguments whose Known is true; other places hold anything.
	// Both may be shorter than the arguments, or nil.
	Consts []value.Value
	Known  []bool
}

// known returns the i-th argument if it is a constant that is not NULL.
func (c Call) known(i int) (value.Value, bool) {
	if i >= len(c.Known) || i >= len(c.Consts) || !c.Known[i] || c.Consts[i].IsNull() {
		return value.Value{}, false
	}
	return c.Consts[i], true
}

// Compile makes the function for one call. An error is about what is wrong
// with the constants or the time unit, whatever the rows may hold. The number
// of arguments is for the caller to check (see Arity).
func (s *Scalar) Compile(c Call) (Func, error) {
	if s.Unit && c.Unit == syntax.NoUnit {
		return nil, fmt.Errorf("%s needs a time unit as its first argument, as in %s(day, ...)", s.Name, s.Name)
	}
	return s.compile(c)
}

// Arity returns an error that says how many arguments the function takes if it
// does not take n (n without the time unit).
func (s *Scalar) Arity(n int) error { return arity(s.Name, s.Unit, s.MinArgs, s.MaxArgs, n) }

func arity(name string, unit bool, low, high, n int) error {
	if n >= low && (n <= high || high < 0) {
		return nil
	}
	before := ""
	if unit {
		before = "a time unit and "
	}
	count := ""
	switch {
	case high < 0:
		count = fmt.Sprintf("at least %s", arguments(low))
	case low == high:
		count = arguments(low)
	default:
		count = fmt.Sprintf("%d to %s", low, arguments(high))
	}
	return fmt.Errorf("%s takes %s%s, not %d", name, before, count, n)
}

func arguments(n int) string {
	switch n {
	case 0:
		return "no arguments"
	case 1:
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", n)
}

// AggOptions are what one call of an aggregate says beside its arguments.
type AggOptions struct {
	// Distinct is set for COUNT(DISTINCT x) and the like.
	Distinct bool
	// OrderDesc has one entry per key of ORDER BY, true for DESC.
	OrderDesc []bool
	// N is the number of rows of COLLECTTOP.
	N int
	// Fraction is the percentile of PERCENTILE_CONT and PERCENTILE_DISC, 0 to 1.
	Fraction float64
	// Text tells that the argument has been cast to nvarchar(max), or is declared
	// so: then MIN and MAX compare texts as texts. Without it a text that reads as
	// a number is one for them, as documented.
	Text bool
	// Sliding tells that rows will be removed again. With it the states of all
	// aggregates are Removers. MIN, MAX, TOPONE and COLLECTTOP then keep more
	// rows than the ones that show: those that may come up when others leave.
	Sliding bool
}

// Aggregate describes an aggregate function.
type Aggregate struct {
	// Name is the name as the documentation spells it.
	Name string
	// MinArgs and MaxArgs bound the number of written arguments; a star counts
	// as none.
	MinArgs, MaxArgs int
	// Star tells that the only argument may be * (or be left out).
	Star bool
	// Distinct tells that DISTINCT may stand before the argument.
	Distinct bool
	// NeedsOrder tells that OVER (ORDER BY keys) is needed. NeedsWithinGroup tells
	// that one key is needed, in OVER (ORDER BY key), which the documentation has,
	// or in WITHIN GROUP (ORDER BY key).
	NeedsOrder, NeedsWithinGroup bool
	// Event tells that the state takes the whole event, as one record, where no
	// value was written (COLLECT(), TOPONE(), COLLECTTOP(n)).
	Event bool
	// Options are the written arguments that are no values of rows but constants
	// for AggOptions: the first one is N (COLLECTTOP) or Fraction (percentiles).
	// It is not passed to Add.
	Options OptionKind
	// Result is the kind of the result, value.Null if it depends on the values.
	Result value.Kind

	make func(AggOptions) State
}

// OptionKind says what the constant first argument of an aggregate is.
type OptionKind uint8

// The kinds.
const (
	// NoOption: all written arguments are values of rows.
	NoOption OptionKind = iota
	// CountOption: the first one is a number of rows, AggOptions.N.
	CountOption
	// FractionOption: the first one is a fraction of one, AggOptions.Fraction.
	FractionOption
)

// Arity returns an error that says how many arguments the aggregate takes if it
// does not take n.
func (a *Aggregate) Arity(n int) error { return arity(a.Name, false, a.MinArgs, a.MaxArgs, n) }

// New makes an empty state.
func (a *Aggregate) New(o AggOptions) State { return a.make(o) }

// State is the aggregate of a group of rows. It is not safe for concurrent use.
type State interface {
	// Add takes a row: the values of the arguments (those that are no options),
	// or the whole event for aggregates that take it, then the keys of ORDER BY.
	// at is the row's time in ticks. Nothing of args is kept that was not cloned.
	// An error is about a value that the aggregate cannot take (its kind); the
	// state is then as it was before.
	Add(args []value.Value, at int64) error
	// Merge adds the rows of other, which was made by the same aggregate with
	// the same options and stays as it is. Where the order of rows counts and
	// times are equal, other's rows come after those that are there.
	Merge(other State)
	// Result returns the aggregate of the rows so far. The value stays good when
	// the state changes. An error is about a result out of range.
	Result() (value.Value, error)
	// Size returns the bytes of memory that the state holds, roughly.
	Size() int
	// AppendState appends the state in a form that ReadState reads.
	AppendState(dst []byte) []byte
	// ReadState replaces the state by what AppendState wrote for the same
	// aggregate with the same options, and returns the bytes behind it. Corrupt
	// input is an error and leaves the state undefined but usable.
	ReadState(b []byte) (rest []byte, err error)
}

// Remover is a State that rows can be taken out of again, with the result as
// if they had never been added. All states are Removers if AggOptions.Sliding
// is set; those of COUNT, SUM, AVG, VAR, VARP, STDEV, STDEVP, PERCENTILE_CONT,
// PERCENTILE_DISC and COLLECT always are.
type Remover interface {
	State
	// Remove takes out the row that was added first of those that are there; args
	// and at are those that it was added with. Rows that Add refused were not
	// added.
	Remove(args []value.Value, at int64)
}

// tables are the functions by upper-case name.
type tables struct {
	scalars    map[string]*Scalar
	aggregates map[string]*Aggregate
	names      []string
}

var registered = sync.OnceValue(func() tables {
	t := tables{scalars: map[string]*Scalar{}, aggregates: map[string]*Aggregate{}}
	for _, s := range slices.Concat(stringFunctions(), mathFunctions(), dateFunctions(), otherFunctions(), geoFunctions()) {
		t.scalars[strings.ToUpper(s.Name)] = s
		t.names = append(t.names, s.Name)
	}
	for _, a := range aggregates() {
		t.aggregates[strings.ToUpper(a.Name)] = a
		t.names = append(t.names, a.Name)
	}
	slices.Sort(t.names)
	return t
})

// Lookup finds a scalar function by its name, ignoring case.
func Lookup(name string) (*Scalar, bool) {
	s, ok := registered().scalars[strings.ToUpper(name)]
	return s, ok
}

// LookupAggregate finds an aggregate by its name, ignoring case.
func LookupAggregate(name string) (*Aggregate, bool) {
	a, ok := registered().aggregates[strings.ToUpper(name)]
	return a, ok
}

// Names returns the names of all scalar functions and aggregates in order.
func Names() []string { return slices.Clone(registered().names) }

// elsewhere are functions that other parts of the engine know: they read more
// than the row, or are no functions of values.
var elsewhere = [...]string{
	"CAST", "TRY_CAST", "LAG", "LAST", "ISFIRST", "AnomalyDetection_SpikeAndDip", "AnomalyDetection_ChangePoint",
	"GetArrayElements", "GetRecordProperties", "GetMetadataPropertyValue", "System.Timestamp", "System.Window",
	"TumblingWindow", "HoppingWindow", "SlidingWindow", "SessionWindow", "Windows",
}

// Suggest returns the function of the language that name is most likely a
// misspelling of, and "" if none is near. It knows the functions of other
// parts of the engine too, such as LAG and TumblingWindow.
func Suggest(name string) string {
	return syntax.Nearest(name, append(Names(), elsewhere[:]...))
}
