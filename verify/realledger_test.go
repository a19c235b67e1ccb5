package verify

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"millrace/connector"
	"millrace/record"
)

// write puts the world's entries into real ledger files of two instances and
// returns their folder.
func (w *world) write(t *testing.T, only ...int) string {
	t.Helper()
	dir := t.TempDir()
	const instances = 2
	for instance := range instances {
		if len(only) > 0 && only[0] != instance {
			continue
		}
		l, err := record.CreateLedger(filepath.Join(dir, fmt.Sprintf("%d%s", instance, record.LedgerSuffix)), record.LedgerHeader{
			Run: "r", Instance: instance, Instances: instances, DevicePrefix: "contoso://device-id-", Devices: 10,
		})
		if err != nil {
			t.Fatal(err)
		}
		var acked []int64
		for i := range w.entries {
			e := w.entries[i]
			if int(e.Device)%instances != instance {
				continue
			}
			if e.Kind == record.Malformed {
				e.Sequence = -1
			}
			n, err := l.Append(&e)
			if err != nil {
				t.Fatal(err)
			}
			if e.Acked {
				acked = append(acked, n)
			}
		}
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		for _, n := range acked {
			l.Acked(n)
		}
		if err := l.Close(0, true); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// shift moves the world in time.
func (w *world) shift(by int64) {
	for i := range w.entries {
		w.entries[i].CreatedAt += by
	}
	for i := range w.rows {
		r := &w.rows[i]
		r.CreatedAt, r.EnqueuedAt, r.ProcessedAt, r.StoredAt = r.CreatedAt+by, r.EnqueuedAt+by, r.ProcessedAt+by, r.StoredAt+by
	}
}

// TestLedgerFiles judges by ledgers as they are on disk, of two instances, in
// one folder and in two.
func TestLedgerFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(5000, 10)
	w.resend(17, true)
	w.entries[100].Acked = false
	w.spoil("{", record.NotJSON, true, 3)
	w.rows = append(w.rows[:40], w.rows[41:]...)
	w.shift(time.Now().UnixMicro() - t0) // real ledgers know when they were written
	for name, dirs := range map[string][]string{
		"one folder":  {w.write(t)},
		"two folders": {w.write(t, 1), w.write(t, 0)},
	} {
		in := w.input()
		in.Ledgers = nil
		for _, dir := range dirs {
			in.Ledgers = append(in.Ledgers, LedgerDir(dir))
		}
		v, err := Check(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, name, v.Events, Events{
			Offered: 5002, Unsent: 1, Sent: 5001, Unique: 4999, InDoubt: 1, InDoubtServed: 1, InjectedDuplicates: 1,
			Malformed: 1, Stored: 4999, Missing: 1, DeadLettered: 1,
		})
		wantEqual(t, name+": imbalances", strings.Join(v.Imbalances, "; "), "")
		wantEqual(t, name+": example", v.Examples[0].Device, "contoso://device-id-0")
	}
}

func TestLedgerOfOneInstanceOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(100, 10)
	in := w.input()
	in.Ledgers = []LedgerSource{LedgerDir(w.write(t, 0))}
	_, err := Check(context.Background(), in)
	var hinted *connector.Hinted
	if !errors.As(err, &hinted) || !strings.Contains(err.Error(), "instance 2 of 2") {
		t.Errorf("error %v", err)
	}
	in.Ledgers = []LedgerSource{LedgerDir(t.TempDir())}
	if _, err := Check(context.Background(), in); !errors.Is(err, record.ErrNoLedger) {
		t.Errorf("error %v for an empty folder", err)
	}
}
