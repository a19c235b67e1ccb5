package function

import (
	"errors"
	"math"
	"strings"
	"testing"

	"millrace/process/streamanalytics/value"
)

// state makes the empty state of an aggregate.
func state(t testing.TB, name string, o AggOptions) State {
	t.Helper()
	a, ok := LookupAggregate(name)
	if !ok {
		t.Fatalf("no aggregate %s", name)
	}
	return a.New(o)
}

// result adds rows of one argument and returns what comes of them.
func result(t testing.TB, name string, o AggOptions, xs ...any) (value.Value, error) {
	t.Helper()
	s := state(t, name, o)
	for i, x := range xs {
		if err := s.Add(args(x), int64(i)); err != nil {
			return null, err
		}
	}
	return s.Result()
}

func TestAggregates(t *testing.T) {
	t.Parallel()
	big := int64(1<<63 - 1)
	for _, c := range []struct {
		name string
		o    AggOptions
		rows []any
		want any
	}{
		{"COUNT", AggOptions{}, []any{1, nil, "a"}, 2},
		{"COUNT", AggOptions{}, nil, 0},
		{"COUNT", AggOptions{Distinct: true}, []any{1, nil, 1.0, "1", "a", "b", "a"}, 4},
		{"COUNT", AggOptions{Distinct: true}, []any{nil}, 0},
		{"SUM", AggOptions{}, []any{1, 2, nil}, 3},
		{"SUM", AggOptions{}, []any{1, 2.5}, 3.5},
		{"SUM", AggOptions{}, []any{true, true}, 2},
		{"SUM", AggOptions{}, []any{"1.5", 1}, 2.5},
		{"SUM", AggOptions{}, []any{nil, nil}, nil},
		{"SUM", AggOptions{}, nil, nil},
		{"SUM", AggOptions{}, []any{big, 1, -1}, big},
		{"SUM", AggOptions{}, []any{big, 1}, wantError{"overflow", "CAST"}},
		{"SUM", AggOptions{}, []any{-1 << 63, -1}, wantError{"overflow"}},
		{"SUM", AggOptions{}, []any{1.0, 1e100, 1.0, -1e100}, 2.0},
		{"SUM", AggOptions{}, []any{0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1}, 1.0},
		{"SUM", AggOptions{}, []any{math.MaxFloat64, math.MaxFloat64, -math.MaxFloat64}, math.MaxFloat64},
		{"SUM", AggOptions{}, []any{math.MaxFloat64, math.MaxFloat64}, wantError{"overflow"}},
		{"SUM", AggOptions{}, []any{math.MaxFloat64, 1.5, -math.MaxFloat64}, 1.5},
		{"SUM", AggOptions{}, []any{big, 0.5, -big}, 0.5},
		{"SUM", AggOptions{}, []any{"abc"}, wantError{`"abc"`}},
		{"SUM", AggOptions{}, []any{at("2014-09-10")}, wantError{"datetime"}},
		{"AVG", AggOptions{}, []any{1, 2}, 1.5},
		{"AVG", AggOptions{}, []any{2, nil, 4}, 3.0},
		{"AVG", AggOptions{}, []any{nil}, nil},
		{"AVG", AggOptions{}, []any{big, big}, float64(big)},
		{"MIN", AggOptions{}, []any{3, nil, 1.5, 2}, 1.5},
		{"MAX", AggOptions{}, []any{3, nil, 1.5, 2}, 3},
		{"MAX", AggOptions{}, []any{nil}, nil},
		{"MAX", AggOptions{}, []any{true, false}, true},
		{"MIN", AggOptions{}, []any{at("2014-09-10"), at("2014-09-09")}, at("2014-09-09")},
		{"MIN", AggOptions{}, []any{"10", "9"}, 9.0},
		{"MIN", AggOptions{Text: true}, []any{"10", "9"}, "10"},
		{"MAX", AggOptions{}, []any{"abc", "b"}, "b"},
		{"MAX", AggOptions{Text: true}, []any{"b", "B", "a"}, "B"},
		{"MAX", AggOptions{}, []any{"abc", 1}, wantError{"abc", "CAST"}},
		{"MAX", AggOptions{}, []any{value.Raw([]byte("[1]"))}, wantError{"array"}},
		{"VAR", AggOptions{}, []any{2, 4, 4, 4, 5, 5, 7, 9}, 32.0 / 7},
		{"VARP", AggOptions{}, []any{2, 4, 4, 4, 5, 5, 7, 9}, 4.0},
		{"STDEV", AggOptions{}, []any{2, 4, 4, 4, 5, 5, 7, 9}, math.Sqrt(32.0 / 7)},
		{"STDEVP", AggOptions{}, []any{2, 4, 4, 4, 5, 5, 7, 9, nil}, 2.0},
		{"VAR", AggOptions{}, []any{5}, nil},
		{"STDEV", AggOptions{}, []any{5}, nil},
		{"VARP", AggOptions{}, []any{5}, 0.0},
		{"STDEVP", AggOptions{}, nil, nil},
		{"VARP", AggOptions{}, []any{1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16}, 22.5},
		{"VARP", AggOptions{}, []any{1e15, 1e15 + 1}, 0.25},
		{"VAR", AggOptions{}, []any{1e200, -1e200}, wantError{"overflow"}},
		{"PERCENTILE_CONT", AggOptions{Fraction: 0.95}, []any{0.98, 0.93, 0.78, 0.99, 0.89, nil}, 0.988},
		{"PERCENTILE_DISC", AggOptions{Fraction: 0.95}, []any{0.98, 0.93, 0.78, 0.99, 0.89, nil}, 0.99},
		{"PERCENTILE_CONT", AggOptions{Fraction: 0.5}, []any{1, 2, 3, 4}, 2.5},
		{"PERCENTILE_DISC", AggOptions{Fraction: 0.5}, []any{1, 2, 3, 4}, 2},
		{"PERCENTILE_DISC", AggOptions{Fraction: 0.5, OrderDesc: []bool{true}}, []any{1, 2, 3, 4}, 3},
		{"PERCENTILE_CONT", AggOptions{Fraction: 0.25, OrderDesc: []bool{true}}, []any{1, 2, 3, 4}, 3.25},
		{"PERCENTILE_DISC", AggOptions{Fraction: 0}, []any{3, 1, 2}, 1},
		{"PERCENTILE_DISC", AggOptions{Fraction: 1}, []any{3, 1, 2}, 3},
		{"PERCENTILE_CONT", AggOptions{Fraction: 1}, []any{3, 1, 2}, 3.0},
		{"PERCENTILE_DISC", AggOptions{Fraction: 0.5}, []any{1.5, 2, 1}, 1.5},
		{"PERCENTILE_CONT", AggOptions{Fraction: 0.5}, nil, nil},
		{"PERCENTILE_CONT", AggOptions{Fraction: 0.5}, []any{"1"}, wantError{"numbers"}},
		{"Collect", AggOptions{}, []any{1, nil, "a"}, value.NewArray(args(1, "a"))},
		{"Collect", AggOptions{}, nil, value.NewArray(nil)},
	} {
		for _, c.o.Sliding = range []bool{false, true} {
			got, err := result(t, c.name, c.o, c.rows...)
			if words, ok := c.want.(wantError); ok {
				if err == nil {
					t.Errorf("%s%v = %v, want an error", c.name, c.rows, got)
				}
				for _, w := range append(words, c.name) {
					if err != nil && !strings.Contains(err.Error(), w) {
						t.Errorf("%s%v: %q does not say %q", c.name, c.rows, err, w)
					}
				}
				continue
			}
			want := arg(c.want)
			close := want.Kind() == value.Float && math.Abs(got.Double()-want.Double()) <= 1e-15*math.Abs(want.Double())
			if err != nil || got.Kind() != want.Kind() || !close && !value.Equal(got, want) {
				t.Errorf("%s%v %+v = %v (%s), %v; want %v (%s)", c.name, c.rows, c.o, got, got.Kind(), err, want, want.Kind())
			}
		}
	}
}

// The shares of whole percentiles are not floats, so rounding must not move
// the place: of n values, k/n is the k-th.
func TestDiscretePercentilesAtWholePlaces(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 300; n++ {
		for k := 1; k <= n; k++ {
			if i := discreteIndex(float64(k)/float64(n), n); i != k-1 {
				t.Fatalf("%d/%d is at %d", k, n, i)
			}
		}
	}
}

func TestCountStar(t *testing.T) {
	t.Parallel()
	s := state(t, "COUNT", AggOptions{})
	for range 3 {
		if err := s.Add(nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	s.(Remover).Remove(nil, 0)
	if v, err := s.Result(); err != nil || v.Int() != 2 || s.Size() != 8 {
		t.Errorf("%v, %v, %d bytes", v, err, s.Size())
	}
}

func TestTop(t *testing.T) {
	t.Parallel()
	rows := [][]value.Value{
		args("a", 2, 1), args("b", nil, 5), args("c", 2, 9), args("d", 1.5, 0), args("e", 2, 9),
	}
	for _, c := range []struct {
		name string
		n    int
		desc []bool
		want string
	}{
		{"TopOne", 0, []bool{true, true}, `"c"`},
		{"TopOne", 0, []bool{false, false}, `"b"`},
		{"CollectTop", 3, []bool{true, false}, `[{"rank":1,"value":"a"},{"rank":2,"value":"c"},{"rank":3,"value":"e"}]`},
		{"CollectTop", 9, []bool{false, true}, `[{"rank":1,"value":"b"},{"rank":2,"value":"d"},{"rank":3,"value":"c"},{"rank":4,"value":"e"},{"rank":5,"value":"a"}]`},
		{"CollectTop", 0, []bool{false, true}, `[]`},
	} {
		for _, sliding := range []bool{false, true} {
			s := state(t, c.name, AggOptions{N: c.n, OrderDesc: c.desc, Sliding: sliding})
			for i, r := range rows {
				if err := s.Add(r, int64(i)); err != nil {
					t.Fatal(err)
				}
			}
			v, err := s.Result()
			if got := string(v.AppendJSON(nil)); err != nil || got != c.want {
				t.Errorf("%s(%d) %v: %s, %v; want %s", c.name, c.n, c.desc, got, err, c.want)
			}
		}
	}
	s := state(t, "TopOne", AggOptions{OrderDesc: []bool{false}})
	if err := s.Add(args("x", "abc"), 0); err == nil || !strings.Contains(err.Error(), "ORDER BY") {
		t.Errorf("ordering by a text: %v", err)
	}
	if v, err := s.Result(); err != nil || !v.IsNull() {
		t.Errorf("TopOne of nothing is %v, %v", v, err)
	}
	if err := s.Add(args("x", "2014-09-10T00:00:00Z"), 0); err != nil {
		t.Errorf("ordering by the text of a time: %v", err)
	}
}

// States own what they keep: the event's bytes change after Add.
func TestStatesOwnTheirValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		o    AggOptions
		want string
	}{
		{"MAX", AggOptions{Text: true}, `"text"`},
		{"MAX", AggOptions{Text: true, Sliding: true}, `"text"`},
		{"Collect", AggOptions{}, `["text"]`},
		{"TopOne", AggOptions{OrderDesc: []bool{false}}, `"text"`},
		{"TopOne", AggOptions{OrderDesc: []bool{false}, Sliding: true}, `"text"`},
	} {
		b := []byte("text")
		row := []value.Value{value.TextBytes(b), value.Int(1)}
		s := state(t, c.name, c.o)
		if err := s.Add(row, 0); err != nil {
			t.Fatal(err)
		}
		copy(b, "XXXX")
		v, err := s.Result()
		if got := string(v.AppendJSON(nil)); err != nil || got != c.want {
			t.Errorf("%s %+v: %s, %v", c.name, c.o, got, err)
		}
	}
}

func TestDamagedStates(t *testing.T) {
	t.Parallel()
	for _, name := range Names() {
		a, ok := LookupAggregate(name)
		if !ok {
			continue
		}
		o := AggOptions{N: 2, OrderDesc: []bool{false}, Fraction: 0.5}
		if _, err := a.New(o).ReadState(nil); !errors.Is(err, ErrState) {
			t.Errorf("%s reads a state of no bytes: %v", name, err)
		}
	}
}

// Panes that hold what can not be compared give an error, not a guess.
func TestMergeOfMixedKinds(t *testing.T) {
	t.Parallel()
	for _, sliding := range []bool{false, true} {
		o := AggOptions{Sliding: sliding}
		a, b := state(t, "MAX", o), state(t, "MAX", o)
		for s, v := range map[State]value.Value{a: value.Int(1), b: value.Text("x")} {
			if err := s.Add(args(v), 0); err != nil {
				t.Fatal(err)
			}
		}
		a.Merge(b)
		c := state(t, "MAX", o)
		if _, err := c.ReadState(a.AppendState(nil)); err != nil {
			t.Fatal(err)
		}
		for _, s := range []State{a, c} {
			if v, err := s.Result(); err == nil || !strings.Contains(err.Error(), "several types") {
				t.Errorf("MAX of 1 and a text is %v, %v", v, err)
			}
		}
	}
}
