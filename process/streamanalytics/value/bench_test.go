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
