package process

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"testing"

	"millrace/connector"
)

// group is a log's group that keeps what was committed, and that can be away.
type group struct {
	at   map[int32]int64
	away bool
}

func (g *group) Commit(_ context.Context, positions []connector.Position) error {
	if g.away {
		return errors.New("the group is forming anew")
	}
	for _, p := range positions {
		g.at[p.Partition] = p.Offset
	}
	return nil
}

// TestCommitsGoWithTheirOwnership: what was stored for a partition that is lost
// by now does not move the group, whether it was waiting, came late, or could
// not be committed before.
func TestCommitsGoWithTheirOwnership(t *testing.T) {
	t.Parallel()
	at := &group{at: make(map[int32]int64)}
	g := newGroupCommits(&Runtime{group: at, hard: t.Context(), opts: Options{Log: slog.New(slog.DiscardHandler)}})
	waiting, late, failed, kept := &ownership{partition: 0}, &ownership{partition: 1}, &ownership{partition: 2}, &ownership{partition: 3}
	want := func(positions map[int32]int64) {
		t.Helper()
		if g.commit(); !maps.Equal(at.at, positions) {
			t.Errorf("the group is at %v, want %v", at.at, positions)
		}
	}
	at.away = true
	g.add([]span{{o: failed, to: 5}, {o: kept, to: 7}})
	want(map[int32]int64{})
	at.away = false
	g.add([]span{{o: waiting, to: 10}})
	for _, o := range []*ownership{waiting, late, failed} {
		o.lost.Store(true)
	}
	g.add([]span{{o: late, to: 20}})
	want(map[int32]int64{3: 7})
	again := &ownership{partition: 1}
	g.add([]span{{o: again, to: 12}})
	g.add([]span{{o: late, to: 20}})
	want(map[int32]int64{1: 12, 3: 7})
}
