package txlog

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The properties of tables that are honoured here.
const (
	PropAppendOnly          = "delta.appendOnly"
	PropCheckpointInterval  = "delta.checkpointInterval"
	PropLogRetention        = "delta.logRetentionDuration"
	PropFileRetention       = "delta.deletedFileRetentionDuration"
	PropCheckpointRetention = "delta.checkpointRetentionDuration"
	PropLogCleanup          = "delta.enableExpiredLogCleanup"
	PropIsolationLevel      = "delta.isolationLevel"
)

// CheckProperty returns an error if a property that is honoured here has a value
// that says nothing. Those of others may be anything.
func CheckProperty(key, value string) error {
	var err error
	switch key {
	case PropLogRetention, PropFileRetention, PropCheckpointRetention:
		var d time.Duration
		if d, err = ParseInterval(value); err == nil && d < 0 {
			err = fmt.Errorf("%q is negative", value)
		}
	case PropCheckpointInterval:
		if n, nerr := strconv.ParseInt(value, 10, 64); nerr != nil || n < 1 {
			err = fmt.Errorf("%q is no number of commits", value)
		}
	case PropAppendOnly, PropLogCleanup:
		if _, berr := strconv.ParseBool(strings.ToLower(value)); berr != nil {
			err = fmt.Errorf("%q is neither true nor false", value)
		}
	}
	if err != nil {
		return fmt.Errorf("property %s: %w", key, err)
	}
	return nil
}

// AppendOnly tells whether rows may only be added.
func (m *Metadata) AppendOnly() bool { return m.flag(PropAppendOnly, false) }

// CheckpointInterval is the number of commits from one checkpoint to the next;
// 10 unless the table says otherwise.
func (m *Metadata) CheckpointInterval() int64 {
	if n, err := strconv.ParseInt(m.Configuration[PropCheckpointInterval], 10, 64); err == nil && n > 0 {
		return n
	}
	return 10
}

// LogRetention is for how long the log is kept, and with it time travel; 30
// days unless the table says otherwise.
func (m *Metadata) LogRetention() time.Duration {
	return m.duration(PropLogRetention, 30*24*time.Hour)
}

// FileRetention is for how long files that were removed must not be deleted; 7
// days unless the table says otherwise.
func (m *Metadata) FileRetention() time.Duration {
	return m.duration(PropFileRetention, 7*24*time.Hour)
}

// checkpointRetention is for how long every checkpoint is kept.
func (m *Metadata) checkpointRetention() time.Duration {
	return m.duration(PropCheckpointRetention, 2*24*time.Hour)
}

func (m *Metadata) logCleanup() bool { return m.flag(PropLogCleanup, true) }

// writeSerializable tells whether commits that read all of the table go
// together with appends that read nothing.
func (m *Metadata) writeSerializable() bool {
	return !strings.EqualFold(m.Configuration[PropIsolationLevel], "Serializable")
}

func (m *Metadata) flag(key string, otherwise bool) bool {
	v, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(m.Configuration[key])))
	if err != nil {
		return otherwise
	}
	return v
}

// duration reads a property. One that is not understood counts as absent, and
// the default is the careful choice.
func (m *Metadata) duration(key string, otherwise time.Duration) time.Duration {
	v, ok := m.Configuration[key]
	if !ok {
		return otherwise
	}
	d, err := ParseInterval(v)
	if err != nil || d < 0 {
		return max(otherwise, 0)
	}
	return d
}

// ParseInterval reads the text of a property such as "interval 7 days" or
// "interval 1 hour 30 minutes". Months and years have no fixed length and are
// refused.
func ParseInterval(text string) (time.Duration, error) {
	words := strings.Fields(strings.ToLower(text))
	if len(words) > 0 && words[0] == "interval" {
		words = words[1:]
	}
	if len(words) == 0 || len(words)%2 != 0 {
		return 0, fmt.Errorf("%q is no interval such as \"interval 7 days\"", text)
	}
	var sum time.Duration
	for i := 0; i < len(words); i += 2 {
		n, err := strconv.ParseInt(words[i], 10, 32)
		unit, ok := intervalUnits[strings.TrimSuffix(words[i+1], "s")]
		if err != nil || !ok {
			return 0, fmt.Errorf("%q is no interval such as \"interval 7 days\"", text)
		}
		d := time.Duration(n) * unit
		if d/unit != time.Duration(n) {
			return 0, fmt.Errorf("%q is too long", text)
		}
		if (sum+d > sum) != (d > 0) {
			return 0, fmt.Errorf("%q is too long", text)
		}
		sum += d
	}
	return sum, nil
}

var intervalUnits = map[string]time.Duration{
	"week": 7 * 24 * time.Hour, "day": 24 * time.Hour, "hour": time.Hour, "minute": time.Minute, "min": time.Minute,
	"second": time.Second, "sec": time.Second, "millisecond": time.Millisecond, "microsecond": time.Microsecond,
	"nanosecond": time.Nanosecond,
}

// FormatInterval is the text of a property for d, in the largest unit that
// gives d exactly.
func FormatInterval(d time.Duration) string {
	for _, u := range []struct {
		name string
		unit time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second},
		{"millisecond", time.Millisecond}, {"microsecond", time.Microsecond}} {
		if d%u.unit == 0 {
			n := int64(d / u.unit)
			if n == 1 {
				return "interval 1 " + u.name
			}
			return fmt.Sprintf("interval %d %ss", n, u.name)
		}
	}
	return fmt.Sprintf("interval %d nanoseconds", d)
}
