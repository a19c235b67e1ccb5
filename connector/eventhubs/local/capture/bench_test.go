package capture_test

import (
	"strings"
	"testing"

	"millrace/connector/eventhubs/local/hub"
)

// BenchmarkCapture archives events of 1 KB that are in the log already: reading,
// encoding, and files in a folder.
func BenchmarkCapture(b *testing.B) {
	for _, codec := range []string{"null", "deflate"} {
		b.Run(codec, func(b *testing.B) {
			dir := b.TempDir()
			c := openCluster(b, startLog(b), "")
			h, err := c.Default().CreateHub(testContext(b), hub.Spec{Name: "h", Partitions: 2, Capture: &hub.CaptureSpec{Enabled: true, Codec: codec, Container: "c"}})
			if err != nil {
				b.Fatal(err)
			}
			batch := texts(strings.Repeat("0123456789abcdef", 62)+" ", 500)
			for i := 0; i < b.N; i += len(batch) {
				send(b, h, int32(i/len(batch)%2), batch...)
			}
			b.ResetTimer()
			b.SetBytes(1000)
			s := startCapture(b, c, dir+"/state", dir)
			flush(b, s)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			s.Close()
			c.Close()
		})
	}
}
