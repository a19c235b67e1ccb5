package txlog

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
)

// Every version of layers stays what it was while later ones are made of it.
func TestLayersKeepTheirVersions(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	type version struct {
		l    layers[int]
		want map[string]int
	}
	all := []version{{want: map[string]int{}}}
	for step := range 400 {
		from := all[max(0, len(all)-1-r.IntN(3))]
		l, want := from.l.change(r.IntN(20) == 0), maps.Clone(from.want)
		for range r.IntN(12) {
			k := fmt.Sprint(r.IntN(2000))
			if r.IntN(3) == 0 {
				l.drop(k)
				delete(want, k)
			} else {
				l.set(k, step)
				want[k] = step
			}
		}
		l.seal()
		all = append(all, version{l, want})
	}
	for i, v := range all {
		if got := maps.Collect(v.l.all()); !maps.Equal(got, v.want) || v.l.len() != len(v.want) {
			t.Fatalf("seed %d, version %d: %d entries, not %d", seed, i, len(got), len(v.want))
		}
		for range 20 {
			k := fmt.Sprint(r.IntN(2000))
			got, ok := v.l.get(k)
			if want, there := v.want[k]; ok != there || got != want {
				t.Fatalf("seed %d, version %d: %s is %d, %v", seed, i, k, got, ok)
			}
		}
	}
}
