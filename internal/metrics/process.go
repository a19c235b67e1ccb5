package metrics

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"syscall"
)

// CPUSeconds is what this process has used so far, user and system.
func CPUSeconds() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	sec := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return sec(u.Utime) + sec(u.Stime)
}

// RSSBytes is this process's resident memory now, PeakRSSBytes the most it
// ever was. Where the system does not say (anything but Linux), it is what
// the Go runtime got from it, which leaves out embedded databases.
func RSSBytes() int64 { return procStatus("VmRSS:") }

// PeakRSSBytes: see RSSBytes.
func PeakRSSBytes() int64 { return procStatus("VmHWM:") }

func procStatus(field string) int64 {
	data, err := os.ReadFile("/proc/self/status")
	if err == nil {
		for line := range bytes.Lines(data) {
			rest, ok := bytes.CutPrefix(line, []byte(field))
			if !ok {
				continue
			}
			kb, err := strconv.ParseInt(string(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte(" kB"))), 10, 64)
			if err == nil {
				return kb << 10
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys)
}
