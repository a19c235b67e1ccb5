package function

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"millrace/process/streamanalytics/value"
)

// subject is an aggregate with options, for the properties that all have.
type subject struct {
	name string
	o    AggOptions
}

func subjects() []subject {
	var all []subject
	for _, name := range Names() {
		a, ok := LookupAggregate(name)
		if !ok {
			continue
		}
		o := AggOptions{N: 3, Fraction: 0.3}
		if a.NeedsOrder {
			o.OrderDesc = []bool{true, false}
		}
		variants := []AggOptions{o}
		if a.Distinct {
			o.Distinct = true
			variants = append(variants, o)
		}
		for _, v := range variants {
			all = append(all, subject{name, v})
			v.Sliding = true
			all = append(all, subject{name, v})
		}
	}
	return all
}

func (s subject) String() string {
	return fmt.Sprintf("%s distinct=%v sliding=%v", s.name, s.o.Distinct, s.o.Sliding)
}

func (s subject) new(t testing.TB) State { return state(t, s.name, s.o) }

// row is what Add gets.
type row struct {
	args []value.Value
	at   int64
}

// randomRows are rows that the aggregate takes, with values of all magnitudes,
// repeated ones, NULL, and a few at the same time.
func (s subject) randomRows(r *rand.Rand, n int) []row {
	rows := make([]row, n)
	at := int64(0)
	for i := range rows {
		at += int64(r.IntN(2))
		args := []value.Value{randomNumber(r)}
		if s.o.OrderDesc != nil {
			args = []value.Value{value.Text(fmt.Sprint(i)), value.Int(int64(r.IntN(4))), randomNumber(r)}
		}
		rows[i] = row{args, at}
	}
	return rows
}

func randomNumber(r *rand.Rand) value.Value {
	switch r.IntN(6) {
	case 0:
		return null
	case 1:
		return value.Int(r.Int64N(5))
	case 2:
		return value.Int(int64(r.Uint64()) >> 16)
	case 3:
		return value.Double(float64(r.IntN(5)) / 2)
	case 4:
		return value.Double((r.Float64() - 0.5) * math.Pow(10, float64(r.IntN(40)-20)))
	}
	return value.Double(10 + 90*r.Float64())
}

func add(t testing.TB, s State, rows []row) {
	t.Helper()
	for _, r := range rows {
		if err := s.Add(r.args, r.at); err != nil {
			t.Fatal(err)
		}
	}
}

// show is a result with all its bits.
func show(t testing.TB, s State) string {
	t.Helper()
	v, err := s.Result()
	return fmt.Sprintf("%s %s %v", v.Kind(), v.AppendJSON(nil), err)
}

func forAll(t *testing.T, rounds int, check func(t *testing.T, s subject, r *rand.Rand)) {
	for _, s := range subjects() {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(rounds) {
				check(t, s, rand.New(rand.NewPCG(seed, 7)))
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

// Whatever rows are cut into, and in whatever order the parts are merged, the
// result is the one of a single pass, to the last bit. Where the order of rows
// counts, parts are merged in order.
func TestMergeIsOnePass(t *testing.T) {
	t.Parallel()
	forAll(t, 30, func(t *testing.T, s subject, r *rand.Rand) {
		rows := s.randomRows(r, r.IntN(60))
		whole := s.new(t)
		add(t, whole, rows)
		var parts []State
		for rest := rows; len(rest) > 0; {
			n := 1 + r.IntN(len(rest))
			p := s.new(t)
			add(t, p, rest[:n])
			parts, rest = append(parts, p), rest[n:]
		}
		merged := s.new(t)
		for len(parts) > 1 {
			i := r.IntN(len(parts) - 1)
			parts[i].Merge(parts[i+1])
			parts = append(parts[:i+1], parts[i+2:]...)
		}
		if len(parts) > 0 {
			before := show(t, parts[0])
			merged.Merge(parts[0])
			if after := show(t, parts[0]); before != after {
				t.Errorf("merging changed the other one: %s, %s", before, after)
			}
		}
		if got, want := show(t, merged), show(t, whole); got != want {
			t.Errorf("merged: %s\none pass: %s", got, want)
		}
	})
}

// Sums do not depend on the order of rows.
func TestOrderDoesNotShow(t *testing.T) {
	t.Parallel()
	forAll(t, 20, func(t *testing.T, s subject, r *rand.Rand) {
		if s.o.OrderDesc != nil || s.name == "Collect" {
			return
		}
		rows := s.randomRows(r, 50)
		one, other := s.new(t), s.new(t)
		add(t, one, rows)
		r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		add(t, other, rows)
		if a, b := show(t, one), show(t, other); a != b {
			t.Errorf("%s\nin another order: %s", a, b)
		}
	})
}

// What is left after rows have been removed, or merged in between, is what the
// rows that are left give alone; and at any moment the state can be written
// and read.
func TestRemoveIsRecompute(t *testing.T) {
	t.Parallel()
	forAll(t, 20, func(t *testing.T, s subject, r *rand.Rand) {
		state, ok := s.new(t).(Remover)
		if !ok {
			if s.o.Sliding {
				t.Fatal("a sliding state can not remove")
			}
			return
		}
		rows := s.randomRows(r, 80)
		from, to := 0, 0
		for to < len(rows) {
			switch n := 1 + r.IntN(5); {
			case from < to && r.IntN(2) == 0:
				for range min(n, to-from) {
					state.Remove(rows[from].args, rows[from].at)
					from++
				}
			case r.IntN(3) == 0:
				n = min(n, len(rows)-to)
				part := s.new(t)
				add(t, part, rows[to:to+n])
				state.Merge(part)
				to += n
			default:
				n = min(n, len(rows)-to)
				add(t, state, rows[to:to+n])
				to += n
			}
			alone := s.new(t)
			add(t, alone, rows[from:to])
			if got, want := show(t, state), show(t, alone); got != want {
				t.Fatalf("rows %d to %d: %s, alone %s", from, to, got, want)
			}
			if r.IntN(4) == 0 {
				state = roundTrip(t, s, state).(Remover)
			}
		}
		for from < to {
			state.Remove(rows[from].args, rows[from].at)
			from++
		}
		if got, want := show(t, state), show(t, s.new(t)); got != want {
			t.Fatalf("nothing left: %s, empty %s", got, want)
		}
	})
}

// roundTrip writes a state and reads it back.
func roundTrip(t testing.TB, s subject, st State) State {
	t.Helper()
	b := st.AppendState([]byte("before"))
	tail := []byte("behind")
	again := s.new(t)
	rest, err := again.ReadState(append(b[len("before"):len(b):len(b)], tail...))
	if err != nil || !bytes.Equal(rest, tail) || string(b[:6]) != "before" {
		t.Fatalf("reading the state: %v, rest %q", err, rest)
	}
	if got, want := show(t, again), show(t, st); got != want {
		t.Fatalf("read: %s, written: %s", got, want)
	}
	if c := again.AppendState(nil); len(c) == 0 {
		t.Fatal("a state of no bytes")
	}
	return again
}

func TestStateRoundTrip(t *testing.T) {
	t.Parallel()
	forAll(t, 30, func(t *testing.T, s subject, r *rand.Rand) {
		rows := s.randomRows(r, r.IntN(40))
		half := r.IntN(len(rows) + 1)
		one := s.new(t)
		add(t, one, rows[:half])
		other := roundTrip(t, s, one)
		add(t, one, rows[half:])
		add(t, other, rows[half:])
		if a, b := show(t, one), show(t, other); a != b {
			t.Errorf("%s, after reading %s", a, b)
		}
	})
}

// The sums against arithmetic of any precision.
func TestExactSums(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 800 {
		var s exactSum
		want := new(big.Float).SetPrec(4000)
		var kept []float64
		for range r.IntN(40) {
			x := math.Ldexp(r.Float64()-0.5, r.IntN(1024+1074)-1074+1)
			if r.IntN(5) == 0 && len(kept) > 0 {
				x = -kept[r.IntN(len(kept))]
			}
			if math.Abs(x) > math.MaxFloat64 {
				continue
			}
			kept = append(kept, x)
			s.add(x)
			want.Add(want, new(big.Float).SetFloat64(x))
		}
		exact, _ := want.Float64()
		if got := s.result(); got != exact {
			t.Fatalf("sum of %v = %v, want %v", kept, got, exact)
		}
		for _, x := range kept {
			s.remove(x)
		}
		if got := s.result(); got != 0 {
			t.Fatalf("%v is left of nothing", got)
		}
	}
}

func TestVarianceAgainstBigFloat(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		s := state(t, "VAR", AggOptions{})
		mean, spread := math.Pow(10, float64(r.IntN(16))), math.Pow(10, float64(r.IntN(10)-5))
		n := 2 + r.IntN(50)
		xs := make([]*big.Float, n)
		sum := new(big.Float).SetPrec(600)
		for i := range xs {
			x := mean + spread*r.NormFloat64()
			xs[i] = new(big.Float).SetPrec(600).SetFloat64(x)
			sum.Add(sum, xs[i])
			if err := s.Add(args(x), 0); err != nil {
				t.Fatal(err)
			}
		}
		sum.Quo(sum, new(big.Float).SetInt64(int64(n)))
		deviations := new(big.Float).SetPrec(600)
		for _, x := range xs {
			d := new(big.Float).SetPrec(600).Sub(x, sum)
			deviations.Add(deviations, d.Mul(d, d))
		}
		want, _ := deviations.Quo(deviations, new(big.Float).SetInt64(int64(n-1))).Float64()
		v, err := s.Result()
		if got := v.Double(); err != nil || math.Abs(got-want) > 1e-14*want {
			t.Fatalf("mean %g, spread %g, n %d: %g, %v; want %g", mean, spread, n, got, err, want)
		}
	}
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 9)) }
