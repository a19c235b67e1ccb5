package verify

import (
	"context"
	"strings"
	"testing"

	"millrace/record"
)

// ledger is what record.ReadLedger would give for the world.
func (w *world) ledger() LedgerSource {
	return func(fn func(*record.Entry) error) (*record.LedgerInfo, error) {
		info := &record.LedgerInfo{Files: []record.LedgerFile{{Header: w.header, Continued: w.continued}}}
		t := &info.Totals
		t.FirstAt, t.LastAt = record.NoTime, record.NoTime
		for i := range w.entries {
			e := w.entries[i]
			t.Offered++
			t.Sent++
			if e.Acked {
				t.Acked++
			} else {
				t.InDoubt++
				t.Unsent++
			}
			if e.Kind == record.Unique {
				if t.FirstAt == record.NoTime || e.CreatedAt < t.FirstAt {
					t.FirstAt = e.CreatedAt
				}
				t.LastAt = max(t.LastAt, e.CreatedAt)
			}
			if err := fn(&e); err != nil {
				return nil, err
			}
		}
		return info, nil
	}
}

// TestRatesThatDiffer: ledgers of two paces are not of one run.
func TestRatesThatDiffer(t *testing.T) {
	t.Parallel()
	w, other := newWorld(100, 10), newWorld(0, 10)
	for _, c := range []struct {
		rate float64
		want string
	}{{worldRate, ""}, {2 * worldRate, "not of the same run"}} {
		other.header.Rate = c.rate
		in := w.input()
		in.Ledgers = []LedgerSource{w.ledger(), other.ledger()}
		if _, err := Check(context.Background(), in); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v at %g, want %q", err, c.rate, c.want)
		}
	}
}
