package function

import (
	"fmt"
	"testing"

	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

// Adding a row must not allocate for the aggregates of numbers.
//
//nolint:paralleltest // what other tests allocate would count
func TestAddDoesNotAllocate(t *testing.T) {
	for _, name := range []string{"COUNT", "SUM", "AVG", "MIN", "MAX", "STDEV", "VARP"} {
		s := state(t, name, AggOptions{})
		rows := make([][]value.Value, 64)
		for i := range rows {
			rows[i] = args(10 + 90*float64(i*7919%64)/64.1)
			if err := s.Add(rows[i], 0); err != nil {
				t.Fatal(err)
			}
		}
		i := 0
		if n := testing.AllocsPerRun(1000, func() {
			_ = s.Add(rows[i%len(rows)], 0)
			i++
		}); n != 0 {
			t.Errorf("%s allocates %v times a row", name, n)
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	rows := make([][]value.Value, 1024)
	r := newRand(1)
	for i := range rows {
		rows[i] = args(10+90*r.Float64(), r.Float64())
	}
	for _, c := range []struct {
		name string
		o    AggOptions
	}{
		{"COUNT", AggOptions{}}, {"COUNT", AggOptions{Distinct: true}}, {"SUM", AggOptions{}}, {"AVG", AggOptions{}}, {"MIN", AggOptions{}},
		{"MIN", AggOptions{Sliding: true}}, {"STDEV", AggOptions{}}, {"TopOne", AggOptions{OrderDesc: []bool{true}}},
		{"CollectTop", AggOptions{N: 10, OrderDesc: []bool{true}}},
	} {
		b.Run(fmt.Sprintf("%s%v", c.name, c.o.Distinct || c.o.Sliding), func(b *testing.B) {
			s := state(b, c.name, c.o)
			n := 1
			if len(c.o.OrderDesc) > 0 {
				n = 2
			}
			b.ReportAllocs()
			for i := range b.N {
				_ = s.Add(rows[i%len(rows)][:n], int64(i))
			}
			b.ReportMetric(float64(s.Size()), "stateB")
		})
	}
}

func BenchmarkScalar(b *testing.B) {
	v := at("2014-09-10T12:13:14.5Z")
	for _, c := range []struct {
		name string
		unit syntax.TimeUnit
		args []value.Value
	}{
		{"SUBSTRING", 0, args("contoso://device-id-154", 11, 9)}, {"CHARINDEX", 0, args("-id", "contoso://device-id-154")},
		{"LEN", 0, args("contoso://device-id-154")}, {"UPPER", 0, args("contoso://device-id-154")},
		{"CONCAT", 0, args("contoso://device-id-154", "-", "x")}, {"PATINDEX", 0, args("%id-[0-9]%", "contoso://device-id-154")},
		{"REGEXMATCH", 0, args("contoso://device-id-154", "id-[0-9]+$")}, {"ROUND", 0, args(12.3456, 2)},
		{"DATEDIFF", syntax.Minute, []value.Value{v, v}}, {"DATEADD", syntax.Month, []value.Value{value.Int(1), v}},
		{"DATEPART", syntax.Hour, []value.Value{v}}, {"COALESCE", 0, args(nil, 1)},
	} {
		b.Run(c.name, func(b *testing.B) {
			s, _ := Lookup(c.name)
			f, err := s.Compile(Call{Unit: c.unit})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for range b.N {
				_, _ = f(c.args)
			}
		})
	}
}
