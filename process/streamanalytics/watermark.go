package streamanalytics

import (
	"millrace/process/streamanalytics/exec"
	"millrace/record"
)

// StateBytes implements process.Sized.
func (t *task) StateBytes() int64 {
	if t.broken != nil {
		return 0
	}
	bytes := t.exec.StateBytes()
	if t.seen != nil {
		bytes += t.seen.Bytes()
	}
	return bytes
}

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
