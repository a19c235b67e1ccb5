package value

import (
	"fmt"
	"strings"
	"testing"
)

// telemetryEvent is an event of a device, about 1 KB, such as the samples of
// the public documentation have.
func telemetryEvent() []byte {
	var b strings.Builder
	b.WriteString(`{"eventId":"b81d241f-5187-40b0-ab2a-940faf9757c0","complexData":{`)
	for i := range 23 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"moreData%d":%.16f`, i, float64(i*37%100)+0.1234567890123456)
	}
	b.WriteString(`},"value":49.02278128887753,"deviceId":"contoso://device-id-154","deviceSequenceNumber":0,` +
		`"type":"CO2","createdAt":"2026-05-16T17:16:40.000003Z"}`)
	return []byte(b.String())
}

func BenchmarkScalars(b *testing.B) {
	x, y := Text("contoso://device-id-154"), Text("contoso://device-id-155")
	like := CompileLike("contoso://%-154")
	f, at := Double(49.02278128887753), Time(1767323045_1234567)
	buf, ok := make([]byte, 0, 256), true
	for _, c := range []struct {
		name string
		do   func()
	}{
		{"CompareText", func() { Compare(x, y) }},
		{"CompareNumbers", func() { Compare(f, Int(49)) }},
		{"KeyText", func() { buf = x.AppendKey(buf[:0]) }},
		{"KeyFloat", func() { buf = f.AppendKey(buf[:0]) }},
		{"JSONText", func() { buf = x.AppendJSON(buf[:0]) }},
		{"JSONFloat", func() { buf = f.AppendJSON(buf[:0]) }},
		{"JSONTime", func() { buf = at.AppendJSON(buf[:0]) }},
		{"ParseTime", func() { _, ok = ParseTime("2026-05-16T17:16:40.000003Z") }},
		{"Like", func() { like.Match(x.Str()) }},
		{"Add", func() { Add(f, Int(1)) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.do()
			}
		})
	}
	if !ok {
		b.Fatal("the time is not read")
	}
}

func BenchmarkScan(b *testing.B) {
	event := telemetryEvent()
	for _, c := range []struct {
		name  string
		names []string
	}{
		{"none", nil},
		{"three", []string{"deviceId", "value", "createdAt"}},
		{"threeFolded", []string{"deviceid", "Value", "CREATEDAT"}},
		{"record", []string{"complexData", "type"}},
		{"all", []string{"eventId", "complexData", "value", "deviceId", "deviceSequenceNumber", "type", "createdAt"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := NewProjection(c.names, Level12)
			dst := make([]Value, len(c.names))
			b.SetBytes(int64(len(event)))
			b.ReportAllocs()
			for b.Loop() {
				if err := p.Scan(event, dst); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
