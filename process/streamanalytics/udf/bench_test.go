package udf

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"millrace/process/streamanalytics/value"
)

// telemetry is an event of 1 KB.
func telemetry() value.Value {
	var b strings.Builder
	b.WriteString(`{"eventId":"3a3f1a7e-7b1f-4a39-9d0b-3f3b6f1c2d11","complexData":{`)
	for i := range 23 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"moreData%d":%v`, i, 10.0123456789+float64(i)*3.21987654)
	}
	b.WriteString(`},"value":42.123456789,"deviceId":"contoso://device-id-154","deviceSequenceNumber":12345,"type":"TEMP","createdAt":"2019-05-16T17:16:39.931874Z"}`)
	return value.Raw([]byte(b.String()))
}

func BenchmarkCall(b *testing.B) {
	event := telemetry()
	for _, bb := range []struct {
		name, body string
		arg        value.Value
	}{
		{"int", "return x + 1", value.Int(41)},
		{"hex2Int", "return parseInt(x, 16)", value.Text("1F4")},
		{"text", "return x.substring(10).toUpperCase()", value.Text("contoso://device-id-154")},
		{"date", "return x.getTime()", value.Time(0)},
		{"record, one field", "return x.value", event},
		{"record, one deep field", "return x.complexData.moreData7", event},
		{"record, returned", "return x", event},
		{"record, stringify", "return JSON.stringify(x)", event},
		{"record, made", "return {a: x, b: [x, 1]}", value.Int(1)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			f := function(b, load(b, "function f(x) { "+bb.body+"; }"), "f")
			args := []value.Value{bb.arg}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.Call(args); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAccumulate(b *testing.B) {
	st := state(b, aggregate(b, load(b, twa), "TWA"))
	args := []value.Value{raw(`{"level":80,"weight":22}`)}
	b.ReportAllocs()
	for b.Loop() {
		if err := st.Accumulate(args, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkState(b *testing.B) {
	a := aggregate(b, load(b, twa), "TWA")
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			state(b, a)
		}
	})
	b.Run("memory", func(b *testing.B) {
		for b.Loop() {
			states := make([]*State, 10_000)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for i := range states {
				states[i] = state(b, a)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(len(states)), "B/state")
			b.ReportMetric(float64(states[0].Size()), "B/state(estimate)")
			runtime.KeepAlive(states)
		}
	})
	st := state(b, a)
	b.Run("save and restore", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			saved, err := st.AppendState(nil)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := st.ReadState(saved); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkNewRuntime(b *testing.B) {
	l, err := Load(Options{}, File{"twa.js", twa})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r, err := l.NewRuntime()
		if err != nil {
			b.Fatal(err)
		}
		aggregate(b, r, "TWA")
	}
}
