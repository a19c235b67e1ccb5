// Package solutions holds the built-in solutions: data only, one folder for
// each architecture, embedded in the binary.
package solutions

import "embed"

// FS holds one folder for each built-in solution, named like the solution.
//
//go:embed all:*
var FS embed.FS
