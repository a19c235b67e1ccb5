package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Committed implements connector.Log.
func (l *topicLog) Committed(ctx context.Context, group string) (map[int32]int64, error) {
	adm, err := l.admin.open(ctx)
	if err != nil {
		return nil, err
	}
	if l.cfg.Group != "" {
		group = l.cfg.Group
	}
	group = withRun(group, l.run)
	offsets, err := adm.FetchOffsets(ctx, group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil // nobody has joined it yet
	}
	if err != nil {
		return nil, l.conn.explain(err, fmt.Sprintf("reading the positions of consumer group %s", group))
	}
	committed := make(map[int32]int64)
	for p, o := range offsets[l.topic] {
		if o.Err == nil && o.At >= 0 {
			committed[p] = o.At
		}
	}
	return committed, nil
}
