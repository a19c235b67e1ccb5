package verify

import (
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
