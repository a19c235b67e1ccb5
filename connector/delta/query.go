package delta

import (
	"strings"

	"millrace/connector/internal/duckread"
)

// advice is what to do about queries that fail.
var advice = duckread.Advice{Doing: "asking the Delta table",
	Memory: "raise serve.memoryLimit, choose fewer columns, or add LIMIT",
	Disk:   "free some space in the data folder",
	Names:  "the table is the view events; DESCRIBE events shows its columns",
	More:   gone}

// gone is the hint for files that are not there.
func gone(message string) string {
	for _, words := range []string{"no files found", "no such file", "could not open file"} {
		if strings.Contains(message, words) {
			return "an old version's files are gone after VACUUM; ask for a newer one, or again if the table was vacuumed just now"
		}
	}
	return ""
}
