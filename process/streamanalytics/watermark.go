package streamanalytics

import (
	"millrace/process/streamanalytics/exec"
	"millrace/record"
)

// Watermark implements process.Watermarked.
func (t *task) Watermark() int64 {
	if t.broken != nil {
		return record.NoTime
	}
	at := t.exec.Watermark()
	if at == exec.NoTime {
		return record.NoTime
	}
	return at / 10
}
