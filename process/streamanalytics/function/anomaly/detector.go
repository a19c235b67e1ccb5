package anomaly

import (
	"errors"
	"fmt"
	"strings"

	"millrace/process/streamanalytics/value"
)

// Detector scores a series of numbers, one at a time and in the order of time.
// It is not safe for concurrent use.
type Detector interface {
	// Add scores a value of the time at, in ticks, against those before it,
	// and then adds it to them. A value that is NaN or infinite is not added:
	// it is no anomaly.
	Add(v float64, at int64) (isAnomaly bool, score float64)
	// Expire forgets the values of times before the given one, in ticks.
	Expire(before int64)
	// Size returns the bytes that the history takes.
	Size() int
	// AppendState appends the detector's state.
	AppendState(dst []byte) []byte
	// ReadState replaces the state by one that AppendState wrote, of a
	// detector with the same parameters, and returns what follows it in b.
	ReadState(b []byte) (rest []byte, err error)
}

// Mode says what SpikeAndDip looks for.
type Mode uint8

// The modes.
const (
	Both Mode = iota
	Spikes
	Dips
)

// ParseMode reads the mode as a query has it, ignoring case.
func ParseMode(s string) (Mode, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "spikes":
		return Spikes, nil
	case "dips":
		return Dips, nil
	case "spikesanddips":
		return Both, nil
	}
	return 0, fmt.Errorf("%.40q is no mode of AnomalyDetection_SpikeAndDip; 'spikes', 'dips' and 'spikesanddips' are", s)
}

// Result makes the record that the functions return.
func Result(isAnomaly bool, score float64) value.Value {
	n := int64(0)
	if isAnomaly {
		n = 1
	}
	return value.NewRecord([]value.Member{{Name: "IsAnomaly", Value: value.Int(n)}, {Name: "Score", Value: value.Double(score)}})
}

// MaxHistory is the longest history that is accepted, in events.
const MaxHistory = 1 << 20

// parameters checks what both detectors take, and returns the share of false
// positives that the confidence allows.
func parameters(confidence float64, history int) (share float64, err error) {
	if !(confidence >= 1 && confidence <= 100) {
		return 0, fmt.Errorf("the confidence must be a percentage from 1 to 100, not %v", confidence)
	}
	if history < 2 || history > MaxHistory {
		return 0, fmt.Errorf("the history must be from 2 to %d events, not %d", MaxHistory, history)
	}
	return 1 - confidence/100, nil
}

var errState = errors.New("the saved state of an anomaly detector is damaged")
