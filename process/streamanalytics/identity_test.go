package streamanalytics

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"millrace/process/streamanalytics/exec"
	"millrace/process/streamanalytics/value"
)

// TestRowIDs: ids are those of the table in docs/formats/rows.md, with which
// verify is tested as well.
func TestRowIDs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/formats/rows.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| eventId |\n| --- | --- | --- | --- | --- |\n")
	rows := strings.Split(strings.TrimSpace(table), "\n")
	if len(rows) < 5 {
		t.Fatalf("the table has %d rows", len(rows))
	}
	for _, line := range rows {
		cells := strings.Split(line, "|")
		cell := func(i int) []string {
			var texts []string
			for i, s := range strings.Split(cells[i], "`") {
				if i%2 == 1 {
					texts = append(texts, s)
				}
			}
			return texts
		}
		at, ok := value.ParseTime(cell(3)[0])
		if !ok {
			t.Fatal(line)
		}
		o := output{name: cell(1)[0], device: -1}
		row := &exec.Row{Time: at}
		var partition int32
		var offset int64
		var index int32
		more := cell(4)
		if len(more) == 3 {
			o.placed = true
			for i, to := range []func(n int64){func(n int64) { partition = int32(n) }, func(n int64) { offset = n }, func(n int64) { index = int32(n) }} {
				n, err := strconv.ParseInt(more[i], 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				to(n)
			}
			more = nil
		}
		for i := 0; i < len(more); i += 2 {
			v, err := value.Parse([]byte(more[i+1]))
			if err != nil {
				t.Fatal(err)
			}
			o.keys = append(o.keys, keyColumn{more[i], len(row.Slots)})
			row.Slots = append(row.Slots, v)
		}
		var d identity
		for range 2 { // its memory is used again
			if id := d.of(&o, row, []byte(cell(2)[0]), partition, offset, index); id.String() != cell(5)[0] {
				t.Errorf("%s: the id is %s", line, id)
			}
		}
	}
}
