//go:build !unix

package record

import "os"

// lockFile does nothing where there is no advisory lock: CreateLedger never
// opens a file that exists, so only continuing a run that is still running
// goes unnoticed.
func lockFile(*os.File) error { return nil }
