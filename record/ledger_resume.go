package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// ErrLedgerFinished is returned when a run is to be continued that has done
// everything it was asked to do.
var ErrLedgerFinished = errors.New("the run is finished")

// LedgerState is what a run that is to be continued has done already.
type LedgerState struct {
	LedgerFile
	// UniqueEntries counts the events that have an intent, acknowledged or
	// not. Their order is that of their creation, so a run goes on with the
	// next one.
	UniqueEntries int64
	// InDoubt are the Unique and Duplicate entries without an
	// acknowledgement, in the order of their sending. A continued run sends
	// them again, under the index given here, so that the log has each at
	// least once. Malformed entries stay in doubt: nothing recognises a
	// second copy of them.
	InDoubt []LedgerInDoubt
}

// LedgerInDoubt is an entry in doubt and its index in the ledger.
type LedgerInDoubt struct {
	Entry
	Index int64
}

// ResumeLedger opens the ledger of an interrupted run to continue it: it cuts
// off a torn tail, notes that the run goes on and that what is in doubt will
// be sent again, and returns what was done so far. A finished run is
// ErrLedgerFinished, one that is still running ErrLedgerInUse, a file without
// a header ErrLedgerEmpty, a damaged one *LedgerCorrupt. visit, if not nil, is
// called with every entry.
func ResumeLedger(path string, visit func(*Entry) error) (*LedgerWriter, *LedgerState, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("continue ledger: %w", err)
	}
	w, state, err := resumeLedger(path, file, visit)
	if err != nil {
		_ = file.Close()
		return nil, nil, err
	}
	return w, state, nil
}

func resumeLedger(path string, file *os.File, visit func(*Entry) error) (*LedgerWriter, *LedgerState, error) {
	// The lock comes first: what is read must not change any more.
	if err := lockFile(file); err != nil {
		return nil, nil, fmt.Errorf("continue ledger %s: %w", path, err)
	}
	state := &LedgerState{}
	index := int64(0)
	f, err := ReadLedgerFile(path, func(e *Entry) error {
		if e.Kind == Unique {
			state.UniqueEntries++
		}
		if e.Kind != Malformed && !e.Acked {
			state.InDoubt = append(state.InDoubt, LedgerInDoubt{Entry: *e, Index: index})
		}
		index++
		if visit != nil {
			return visit(e)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	state.LedgerFile = *f
	if f.Totals.Finished {
		return nil, nil, fmt.Errorf("ledger %s: %w", path, ErrLedgerFinished)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("continue ledger: %w", err)
	}
	end := info.Size() - f.TornBytes
	if err := file.Truncate(end); err != nil {
		return nil, nil, fmt.Errorf("continue ledger: cut off its unfinished end: %w", err)
	}
	text, err := json.Marshal(resuming{At: time.Now().UnixMicro(), Retried: int64(len(state.InDoubt))})
	if err != nil {
		return nil, nil, fmt.Errorf("continue ledger %s: %w", path, err)
	}
	w := &LedgerWriter{path: path, header: f.Header, file: file, end: end, next: index}
	w.out = appendBlock(w.out[:0], blockResume, text)
	if err := w.write(w.out); err != nil {
		return nil, nil, err
	}
	return w, state, nil
}
