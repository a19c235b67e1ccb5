package streamanalytics

import (
	"millrace/process"
	"millrace/process/streamanalytics/exec"
)

// States says what a timed task holds.
func States(t process.Task) []exec.OperatorState { return t.(*timedTask).exec.States() }
