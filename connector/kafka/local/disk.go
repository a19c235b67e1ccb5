package local

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"time"

	"millrace/connector"

	"github.com/twmb/franz-go/pkg/kfake"
)

const (
	// diskInterval is how often the free space is looked at.
	diskInterval = 100 * time.Millisecond
	// complainInterval is how often a lasting trouble is logged.
	complainInterval = 10 * time.Second
)

// disk watches the data directory's disk.
//
// What kfake does by itself when a write fails: an append that cannot be
// written is answered with UNKNOWN_SERVER_ERROR, so it is not acknowledged,
// but the producer's sequence has advanced, and a client that repeated the
// same batch would be told that it is stored already (those that follow the
// protocol do not repeat it). Topic changes, group positions and transaction
// ends that cannot be written are logged and answered as if they were. Hence
// appends are refused while there is still room for everything else, and any
// failed write that the broker logs stops appends until it has been a while.
type disk struct {
	dir string
	min int64
	log *slog.Logger

	mu         sync.Mutex
	looked     time.Time
	err        error
	broken     error // a write that failed
	brokenAt   time.Time
	complained time.Time
}

// check looks at the free space now.
func (d *disk) check() error {
	free, err := freeSpace(d.dir)
	if err != nil {
		return fmt.Errorf("looking at the free space of data directory %s: %w", d.dir, err)
	}
	if free < d.min {
		return fmt.Errorf("the disk of data directory %s is full: %s free, %s needed", d.dir, megabytes(free), megabytes(d.min))
	}
	return nil
}

func megabytes(n int64) string { return connector.Bytes(n >> 20 << 20).String() }

func freeSpace(dir string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil //nolint:unconvert // types differ by system
}

// trouble returns why appends are to be refused, or nil.
func (d *disk) trouble() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if now.Sub(d.looked) >= diskInterval {
		d.looked = now
		d.err = d.check()
		if d.broken != nil && now.Sub(d.brokenAt) > complainInterval {
			d.broken = nil
		}
	}
	err := d.err
	if err == nil {
		err = d.broken
	}
	if err != nil && now.Sub(d.complained) > complainInterval {
		d.complained = now
		d.log.Error("the embedded Kafka refuses appends", "error", err)
	}
	return err
}

// brokerLog is the broker's logger. It is the only place where kfake tells
// of a failed write.
type brokerLog struct{ disk *disk }

// Logf implements kfake.Logger.
func (l brokerLog) Logf(level kfake.LogLevel, msg string, args ...any) {
	if level > kfake.LogLevelWarn {
		return
	}
	text := fmt.Sprintf(msg, args...)
	if strings.HasPrefix(msg, "persist ") || strings.HasPrefix(msg, "compact ") {
		l.disk.mu.Lock()
		l.disk.broken = fmt.Errorf("writing to data directory %s failed: %s", l.disk.dir, text)
		l.disk.brokenAt = time.Now()
		l.disk.mu.Unlock()
		l.disk.log.Error("the embedded Kafka cannot write", "error", text)
		return
	}
	l.disk.log.Debug("embedded Kafka: " + text)
}
