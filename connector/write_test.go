package connector

import (
	"fmt"
	"strings"
	"testing"

	"millrace/record"
)

func TestWriteCheck(t *testing.T) {
	t.Parallel()
	at := func(places ...int64) (results []record.Result) { // pairs of partition and offset
		for i := 0; i < len(places); i += 2 {
			results = append(results, record.Result{Partition: int32(places[i]), Offset: places[i+1]})
		}
		return results
	}
	two := []Advance{{Partition: 7, From: Unknown, To: 5}, {Partition: 3, From: 10, To: 12}}
	for name, tt := range map[string]struct {
		write Write
		timed bool
		want  string // the advance of each result, or what is wrong
	}{
		"nothing":          {write: Write{}, want: "[]"},
		"advances only":    {write: Write{Advances: two}, want: "[]"},
		"sorted":           {write: Write{Advances: two, Results: at(7, 0, 7, 4, 3, 10, 3, 11, 7, 4)}, want: "[1 1 0 0 1]"},
		"at the end":       {write: Write{Advances: two, Results: at(3, 12)}, want: "a result at 12 of partition 3, which it advances from 10 to 12"},
		"timed, at end":    {write: Write{Advances: two, Results: at(3, 12)}, timed: true, want: "[0]"},
		"timed, beyond":    {write: Write{Advances: two, Results: at(3, 13)}, timed: true, want: "a result at 13"},
		"before":           {write: Write{Advances: two, Results: at(7, 0, 3, 9)}, want: "a result at 9"},
		"no such advance":  {write: Write{Advances: two, Results: at(4, 10)}, want: "partition 4, which it does not advance"},
		"no advances":      {write: Write{Results: at(4, 10)}, want: "partition 4, which it does not advance"},
		"advanced twice":   {write: Write{Advances: append(two, two[0])}, want: "advances partition 7 twice"},
		"taken back":       {write: Write{Advances: []Advance{{Partition: 1, From: 2, To: 1}}}, want: "takes partition 1 back from 2 to 1"},
		"where it was":     {write: Write{Advances: []Advance{{Partition: 1, From: 2, To: 2}}}, want: "[]"},
		"where it was, at": {write: Write{Advances: []Advance{{Partition: 1, From: 2, To: 2}}, Results: at(1, 2)}, timed: true, want: "[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var in []int
			advances, err := tt.write.Check(tt.timed, func(result, advance int) {
				if result != len(in) {
					t.Errorf("result %d comes after %d", result, len(in)-1)
				}
				in = append(in, advance)
			})
			got := fmt.Sprint(in)
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, tt.want) {
				t.Errorf("%s, want %s", got, tt.want)
			}
			for i := 1; i < len(advances); i++ {
				if advances[i-1].Partition >= advances[i].Partition {
					t.Errorf("not in order: %v", advances)
				}
			}
		})
	}
}
