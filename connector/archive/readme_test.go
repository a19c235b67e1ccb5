package archive

import (
	"context"
	"os"
	"strings"
	"testing"
)

// The queries of both pages run as they are written.
func TestQueriesOfThePages(t *testing.T) {
	t.Parallel()
	s := sample(t).open()
	for _, path := range []string{"README.md", "../../solutions/eventhubs-capture/README.md"} {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, block := range strings.Split(string(page), "```sql\n")[1:] {
			block, _, _ = strings.Cut(block, "```")
			for _, query := range strings.SplitAfter(block, ";\n") {
				if query = strings.TrimSpace(query); query == "" {
					continue
				}
				n++
				rows, err := s.Query(context.Background(), query)
				if err != nil {
					t.Errorf("%s: %s: %v", path, query, err)
					continue
				}
				if got := collect(t, rows); len(got) == 0 && !strings.Contains(query, "colour") {
					t.Errorf("%s: %s: no rows", path, query)
				}
			}
		}
		if n < 5 {
			t.Errorf("%s has %d queries", path, n)
		}
	}
}
