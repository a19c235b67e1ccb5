//go:build !unix

package eventhubs

import (
	"os"
	"sync"
)

// folderLocks stands in for the locks of the operating system: workers in one
// process exclude each other. Several processes need a storage account here.
var folderLocks sync.Map // path -> *sync.Mutex

func lockFolder(f *os.File) error {
	m, _ := folderLocks.LoadOrStore(f.Name(), new(sync.Mutex))
	m.(*sync.Mutex).Lock()
	return nil
}

func unlockFolder(f *os.File) {
	m, _ := folderLocks.Load(f.Name())
	m.(*sync.Mutex).Unlock()
}
