package hub

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"millrace/connector"
)

// Lock takes what a file stands for for this process, until release is called
// or the process ends, however it ends. If another Lock holds it, in this process
// or in another, the error is a *connector.Unreachable that names the folder and
// that process. The file is created, and stays: removing it would let two
// processes lock two files of one name.
func Lock(file string) (release func() error, err error) {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, unlockable(dir, err)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, unlockable(dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		owner := make([]byte, 20)
		n, _ := f.ReadAt(owner, 0)
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &connector.Unreachable{What: dir, Hint: "stop the other process, connect to it, or choose another data directory",
				Err: fmt.Errorf("process %s is using this data directory", owner[:n])}
		}
		return nil, unlockable(dir, err)
	}
	// Who holds it is said as well as possible; the lock does not depend on it.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	}
	return f.Close, nil
}

func unlockable(dir string, err error) error {
	return &connector.Hinted{Err: fmt.Errorf("cannot use the data directory: %w", err), Hint: "choose another directory than " + dir + ", or make it writable"}
}
