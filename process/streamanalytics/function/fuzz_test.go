package function

import (
	"testing"

	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

// FuzzReadState gives every aggregate bytes of any origin: they are read or
// refused, and the state works on.
func FuzzReadState(f *testing.F) {
	all := subjects()
	for i, s := range all {
		st := s.new(f)
		rows := s.randomRows(newRand(uint64(i)), 12)
		add(f, st, rows)
		f.Add(byte(i), st.AppendState(nil))
	}
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		s := all[int(which)%len(all)]
		st := s.new(t)
		rest, err := st.ReadState(b)
		if err == nil && len(rest) > len(b) {
			t.Fatal("more is left than was there")
		}
		rows := s.randomRows(newRand(uint64(len(b))), 4)
		for _, r := range rows {
			// A row may not go with what was read.
			_ = st.Add(r.args, r.at)
		}
		other := s.new(t)
		other.Merge(st)
		if rm, ok := other.(Remover); ok {
			rm.Remove(rows[0].args, rows[0].at)
		}
		_, _ = other.Result()
		if other.Size() < 0 {
			t.Fatal("a negative size")
		}
		again := s.new(t)
		if _, err := again.ReadState(st.AppendState(nil)); err != nil {
			t.Fatalf("what it writes it does not read: %v", err)
		}
	})
}

// FuzzScalar calls every function with values of any kind.
func FuzzScalar(f *testing.F) {
	names := Names()
	for i := range names {
		f.Add(byte(i), byte(i), `[1,"abc",2.5,null,true]`, "%a_[b-d]%", int64(3), 1.5)
	}
	f.Add(byte(0), byte(1), `{"a":[1]}`, "(a+)+$", int64(-1<<63), 1e308)
	f.Fuzz(func(t *testing.T, which, unit byte, json, text string, n int64, x float64) {
		s, ok := Lookup(names[int(which)%len(names)])
		if !ok {
			return
		}
		pool := []value.Value{
			value.Text(text), value.Int(n), value.Double(x), value.Time(clamp(n)), null, value.Bool(n&1 == 1),
			value.Text("2014-09-10"), value.Int(int64(len(text))),
		}
		if v, err := value.Parse([]byte(json)); err == nil {
			pool = append(pool, v)
		}
		max := s.MaxArgs
		if max < 0 {
			max = s.MinArgs + 2
		}
		r := newRand(uint64(n))
		if s.Name == "REPLICATE" || s.Name == "SPACE" {
			// Texts of megabytes, which both may make, only take time.
			pool[1], pool[2], pool[5] = value.Int(n%1000), value.Int(-n%1000), value.Int(0)
		}
		for range 8 {
			args := make([]value.Value, s.MinArgs+r.IntN(max-s.MinArgs+1))
			known := make([]bool, len(args))
			for i := range args {
				args[i], known[i] = pool[r.IntN(len(pool))], r.IntN(2) == 0
			}
			compiled, err := s.Compile(Call{Unit: syntax.TimeUnit(unit%13 + 1), Consts: args, Known: known})
			if err != nil {
				continue
			}
			if v, err := compiled(args); err == nil {
				v.AppendJSON(nil)
			} else if err.Error() == "" {
				t.Fatal("an error without words")
			}
		}
	})
}

func clamp(n int64) int64 { return min(max(n, value.MinTicks), value.MaxTicks) }
