//go:build unix

package eventhubs

import (
	"os"
	"syscall"
)

// lockFolder waits until no other process holds the lock. The operating system
// lets go of it when the process ends, however it ends.
func lockFolder(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if err != syscall.EINTR {
			return err
		}
	}
}

func unlockFolder(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
