package report

import (
	"bytes"
	"fmt"
	"testing"
)

func sampleComparison(t testing.TB) *Comparison {
	t.Helper()
	slow := failing(t)
	c, err := Compare([]Input{{"base.json", passing(t)}, {"runs/charged.json", charged(t)}, {"runs/slow.json", slow}, {"capture.json", archive(t, true)}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCompareText(t *testing.T) {
	c := sampleComparison(t)
	var b bytes.Buffer
	if err := CompareText(&b, c, 80, Style{Unicode: true}); err != nil {
		t.Fatal(err)
	}
	fmt.Println(b.String())
}
