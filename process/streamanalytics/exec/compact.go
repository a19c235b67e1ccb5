package exec

import (
	"fmt"
	"math"

	"millrace/process/streamanalytics/codec"
	"millrace/process/streamanalytics/function"
	"millrace/process/streamanalytics/value"
)

// The columns below are SUM, AVG, MIN and MAX as nearly all groups need them:
// without a pointer and in a quarter of the memory of package function's
// states. They give the same results. A group that needs more (a sum beyond a
// bigint, text among numbers, ...) goes over to such a state, which is in rest.

// spilled are the states of the few groups that went over.
type spilled struct {
	call     *aggregateCall
	function *function.Aggregate
	rest     map[int]function.State
}

// spilledSize is what a state takes in the map beside its Size.
const spilledSize = 64

// spill makes a state for a group and adds values to it.
func (s *spilled) spill(i int, values ...value.Value) (int64, error) {
	if s.rest == nil {
		s.rest = map[int]function.State{}
	}
	state := s.function.New(s.call.options)
	s.rest[i] = state
	for k := range values {
		if err := state.Add(values[k:k+1], 0); err != nil {
			return 0, placed(s.call.plan.Pos, err)
		}
	}
	return spilledSize + int64(state.Size()), nil
}

// addTo adds a row to a state.
func (s *spilled) addTo(i int, args []value.Value, at int64) (int64, error) {
	state := s.rest[i]
	before := state.Size()
	if err := state.Add(args, at); err != nil {
		// The message is to name the function that the query calls.
		if own := s.call.function.New(s.call.options).Add(args, at); own != nil {
			err = own
		}
		return 0, placed(s.call.plan.Pos, err)
	}
	return int64(state.Size() - before), nil
}

func (s *spilled) resultOf(i int) (value.Value, error) {
	v, err := s.rest[i].Result()
	if err != nil {
		err = placed(s.call.plan.Pos, err)
	}
	return v, err
}

// smallSum is a sum of bigints or of floats. That of floats is exact: parts do
// not overlap, the smaller one in front, and are added, which rounds, only when
// the sum is asked for. So it does not depend on the order of rows.
type smallSum struct {
	// n counts the numbers.
	n    int64
	part [2]float64
	// parts is how many of part are in use, or one of the forms below.
	parts int8
}

const (
	// bigints: part[0] has the bits of a sum of bigints.
	bigints = -1
	// inRest: the sum is in a state, as SUM keeps it.
	inRest = -2
	// Sums of floats beyond that may leave the range of floats on the way.
	largestSmall = 0x1p900
	smallSumSize = 32
)

// sumColumn is SUM or AVG.
type sumColumn struct {
	spilled
	average bool
	sums    []smallSum
}

func newSumColumn(a *aggregateCall) *sumColumn {
	sum, _ := function.LookupAggregate("SUM")
	return &sumColumn{spilled: spilled{call: a, function: sum}, average: a.function != sum}
}

func (c *sumColumn) leave() { c.sums = append(c.sums, smallSum{}) }

func (c *sumColumn) renew(i int) (int64, error) {
	c.drop(i)
	return smallSumSize, nil
}

func (c *sumColumn) drop(i int) {
	if c.sums[i].parts == inRest {
		delete(c.rest, i)
	}
	c.sums[i] = smallSum{}
}

func (c *sumColumn) reset() { c.sums, c.rest = c.sums[:0], nil }

func (c *sumColumn) add(i int, args []value.Value, at int64) (grown int64, err error) {
	v, s := args[0], &c.sums[i]
	switch v.Kind() {
	case value.Null:
		return 0, nil
	case value.BigInt:
		if s.addInt(v.Int()) {
			s.n++
			return 0, nil
		}
	case value.Float:
		if s.addFloat(v.Double()) {
			s.n++
			return 0, nil
		}
	}
	if grown, err = c.goOver(i); err != nil {
		return 0, err
	}
	more, err := c.addTo(i, args, at)
	if err == nil {
		s.n++
	}
	return grown + more, err
}

// addInt adds a bigint to a sum of bigints, if it fits.
func (s *smallSum) addInt(n int64) bool {
	if s.parts != bigints && s.n > 0 || s.parts == inRest {
		return false
	}
	old := s.int()
	sum := old + n
	if n > 0 && sum < old || n < 0 && sum > old {
		return false
	}
	s.parts, s.part[0] = bigints, math.Float64frombits(uint64(sum))
	return true
}

func (s *smallSum) int() int64 { return int64(math.Float64bits(s.part[0])) }

// addFloat adds a float exactly, if there is room for the parts of the sum
// (J. R. Shewchuk's expansions, as in package function).
func (s *smallSum) addFloat(x float64) bool {
	if s.parts < 0 || !(math.Abs(x) < largestSmall) {
		return false
	}
	var parts [3]float64
	n := 0
	for _, y := range s.part[:s.parts] {
		if math.Abs(x) < math.Abs(y) {
			x, y = y, x
		}
		sum := x + y
		if rest := y - (sum - x); rest != 0 {
			parts[n] = rest
			n++
		}
		x = sum
	}
	if x != 0 {
		parts[n] = x
		n++
	}
	if n > 2 {
		if n = compress(&parts); n > 2 {
			return false
		}
	}
	if !(math.Abs(x) < largestSmall) {
		return false
	}
	s.parts = int8(n)
	s.part = [2]float64(parts[:2])
	return true
}

// compress makes two parts of three, if they have room for all digits.
func compress(parts *[3]float64) int {
	high, low := twoSum(parts[2], parts[1])
	low, rest := twoSum(low, parts[0])
	if rest != 0 {
		return 3
	}
	high, low = twoSum(high, low)
	if low == 0 {
		*parts = [3]float64{high}
		return 1
	}
	*parts = [3]float64{low, high}
	return 2
}

// twoSum is a sum and what was lost when it was rounded.
func twoSum(a, b float64) (sum, lost float64) {
	sum = a + b
	part := sum - a
	return sum, (a - (sum - part)) + (b - part)
}

// goOver gives a group a state that knows no bounds. For AVG there is a float
// in it, so that it does not mind how large a sum of bigints is.
func (c *sumColumn) goOver(i int) (int64, error) {
	s := &c.sums[i]
	if s.parts == inRest {
		return 0, nil
	}
	values := s.values(make([]value.Value, 0, 3))
	if c.average {
		values = append(values, value.Double(0))
	}
	s.parts = inRest
	return c.spill(i, values...)
}

// values appends numbers with the same sum.
func (s *smallSum) values(dst []value.Value) []value.Value {
	if s.parts == bigints {
		return append(dst, value.Int(s.int()))
	}
	for _, p := range s.part[:max(s.parts, 0)] {
		dst = append(dst, value.Double(p))
	}
	return dst
}

func (c *sumColumn) merge(i int, from column, j int) (int64, error) {
	other := from.(*sumColumn)
	s, o := &c.sums[i], &other.sums[j]
	n := s.n + o.n
	if o.n == 0 || o.parts != inRest && s.merge(o) {
		s.n = n
		return 0, nil
	}
	grown, err := c.goOver(i)
	if err != nil {
		return grown, err
	}
	s.n = n
	state := c.rest[i]
	before := state.Size()
	if o.parts == inRest {
		state.Merge(other.rest[j])
	} else {
		for _, v := range o.values(make([]value.Value, 0, 2)) {
			if err := state.Add([]value.Value{v}, 0); err != nil {
				return grown, placed(c.call.plan.Pos, err)
			}
		}
	}
	return grown + int64(state.Size()-before), nil
}

// merge adds a small sum to another one, if that stays small.
func (s *smallSum) merge(o *smallSum) bool {
	sum := *s
	if o.parts == bigints {
		if !sum.addInt(o.int()) {
			return false
		}
		*s = sum
		return true
	}
	if sum.parts < 0 {
		return false
	}
	for _, p := range o.part[:o.parts] {
		if !sum.addFloat(p) {
			return false
		}
	}
	*s = sum
	return true
}

func (c *sumColumn) result(i int) (value.Value, error) {
	s := &c.sums[i]
	var v value.Value
	switch {
	case s.n == 0:
		return v, nil
	case s.parts == inRest:
		var err error
		if v, err = c.resultOf(i); err != nil {
			return v, err
		}
	case s.parts == bigints:
		v = value.Int(s.int())
	default:
		v = value.Double(s.part[1] + s.part[0])
	}
	if c.average {
		v = value.Double(v.Double() / float64(s.n))
	}
	return v, nil
}

func (c *sumColumn) appendState(dst []byte, i int) ([]byte, error) {
	s := &c.sums[i]
	dst = append(codec.AppendInt(dst, s.n), byte(s.parts))
	switch {
	case s.parts == inRest:
		return c.rest[i].AppendState(dst), nil
	case s.parts == bigints:
		return codec.AppendInt(dst, s.int()), nil
	}
	for _, p := range s.part[:s.parts] {
		dst = codec.AppendFloat(dst, p)
	}
	return dst, nil
}

func (c *sumColumn) readState(i int, d *decoder) int64 {
	n, parts := d.Int(), int8(d.Byte())
	s := &c.sums[i]
	if n < 0 || n == 0 && parts > 0 || parts < inRest || int(parts) > len(s.part) {
		d.Fail("a sum is not one")
	}
	if d.Err() != nil {
		return 0
	}
	s.n = n
	switch {
	case parts == inRest:
		s.parts = inRest
		grown, err := c.spill(i)
		if err != nil {
			d.FailWith(err)
		}
		return grown + d.sized(c.rest[i])
	case parts == bigints:
		s.parts, s.part[0] = bigints, math.Float64frombits(uint64(d.Int()))
	default:
		for range parts {
			if !s.addFloat(d.Float()) {
				d.Fail("a sum is not one")
			}
		}
	}
	return 0
}

// extremeColumn is MIN or MAX. Numbers and datetimes need no state.
type extremeColumn struct {
	spilled
	sign int
	// best has the value of each group, NULL as long as there is none, and a
	// text for groups whose state is in rest.
	best []value.Value
}

func newExtremeColumn(a *aggregateCall) *extremeColumn {
	c := &extremeColumn{spilled: spilled{call: a, function: a.function}, sign: 1}
	if a.function.Name == "MIN" {
		c.sign = -1
	}
	return c
}

func (c *extremeColumn) leave() { c.best = append(c.best, value.Value{}) }

func (c *extremeColumn) renew(i int) (int64, error) {
	c.drop(i)
	return valueSize, nil
}

func (c *extremeColumn) drop(i int) {
	if c.away(i) {
		delete(c.rest, i)
	}
	c.best[i] = value.Value{}
}

// away tells whether the group's state is in rest.
func (c *extremeColumn) away(i int) bool { return c.best[i].Kind() == value.String }

func (c *extremeColumn) reset() { c.best, c.rest = c.best[:0], nil }

// take keeps the better one of two plain values; false if they are not plain.
// Of equal ones it is that of the lower kind, as in package function.
func (c *extremeColumn) take(i int, v value.Value) bool {
	b := c.best[i]
	switch v.Kind() {
	case value.BigInt, value.Float:
		if k := b.Kind(); k != value.Null && k != value.BigInt && k != value.Float {
			return false
		}
	case value.DateTime:
		if k := b.Kind(); k != value.Null && k != value.DateTime {
			return false
		}
	default:
		return false
	}
	if !b.IsNull() {
		order := value.Order(v, b) * c.sign
		if order < 0 || order == 0 && v.Kind() >= b.Kind() {
			return true
		}
	}
	c.best[i] = v
	return true
}

func (c *extremeColumn) goOver(i int) (int64, error) {
	if c.away(i) {
		return 0, nil
	}
	b := c.best[i]
	c.best[i] = value.Text("")
	if b.IsNull() {
		return c.spill(i)
	}
	return c.spill(i, b)
}

func (c *extremeColumn) add(i int, args []value.Value, at int64) (int64, error) {
	if args[0].IsNull() || c.take(i, args[0]) {
		return 0, nil
	}
	grown, err := c.goOver(i)
	if err != nil {
		return 0, err
	}
	more, err := c.addTo(i, args, at)
	return grown + more, err
}

func (c *extremeColumn) merge(i int, from column, j int) (int64, error) {
	other := from.(*extremeColumn)
	o := other.best[j]
	if o.IsNull() || !other.away(j) && c.take(i, o) {
		return 0, nil
	}
	grown, err := c.goOver(i)
	if err != nil {
		return 0, err
	}
	state := c.rest[i]
	before := state.Size()
	if other.away(j) {
		state.Merge(other.rest[j])
		return grown + int64(state.Size()-before), nil
	}
	plain := c.function.New(c.call.options)
	if err := plain.Add([]value.Value{o}, 0); err != nil {
		return 0, placed(c.call.plan.Pos, err)
	}
	state.Merge(plain)
	return grown + int64(state.Size()-before), nil
}

func (c *extremeColumn) result(i int) (value.Value, error) {
	if c.away(i) {
		return c.resultOf(i)
	}
	return c.best[i], nil
}

func (c *extremeColumn) appendState(dst []byte, i int) ([]byte, error) {
	dst = c.best[i].AppendState(dst)
	if c.away(i) {
		dst = c.rest[i].AppendState(dst)
	}
	return dst, nil
}

func (c *extremeColumn) readState(i int, d *decoder) int64 {
	v := d.Value()
	switch v.Kind() {
	case value.Null, value.BigInt, value.Float, value.DateTime:
		c.best[i] = v
		return 0
	case value.String:
		grown, err := c.goOver(i)
		if err != nil {
			d.FailWith(err)
		}
		return grown + d.sized(c.rest[i])
	}
	d.Fail(fmt.Sprintf("%s of a %s", c.function.Name, v.Kind()))
	return 0
}
