//go:build unix

package record

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lockFile keeps other simulators from writing the same ledger. The operating
// system lets go of the lock when the process ends, however it ends.
func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLedgerInUse
	}
	if err != nil {
		return fmt.Errorf("lock the ledger: %w", err)
	}
	return nil
}
