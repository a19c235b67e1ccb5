package udf

import (
	_ "embed"
	"fmt"

	"github.com/dop251/goja"
)

// prelude prepares an engine: local time is UTC, and built-in calls that could
// take the process down are bounded.
//
//go:embed prelude.js
var prelude string

// preludeName is the prelude's file name in stack traces.
const preludeName = "<prelude>"

func compilePrelude() (*goja.Program, error) {
	p, err := goja.Compile(preludeName, prelude, true)
	if err != nil {
		return nil, fmt.Errorf("compiling the prelude: %w", err)
	}
	return p, nil
}
