package capture

import (
	"context"
	"time"

	"millrace/connector/eventhubs/local/hub"
)

// eventLog is what is read of one partition of a hub.
type eventLog interface {
	// bounds returns the sequence numbers of the oldest event, and of the
	// next one.
	bounds(ctx context.Context) (begin, end int64, err error)
	// sequenceAt returns that of the first event that came in at t or
	// later, or the end.
	sequenceAt(ctx context.Context, t time.Time) (int64, error)
	// open begins to read at a sequence number, or at the oldest event if
	// that is younger.
	open(ctx context.Context, from int64) (eventReader, error)
}

type eventReader interface {
	// next waits for events. They are valid until the next call. If ctx
	// ends first, nothing is lost.
	next(ctx context.Context, limit int) ([]event, error)
	// position is the sequence number behind all that was handed out, and
	// behind what is no event.
	position() int64
	close()
}

// hubLog is a partition of a hub.
type hubLog struct {
	h *hub.Hub
	p int32
}

func (l hubLog) bounds(ctx context.Context) (begin, end int64, err error) {
	info, err := l.h.Partition(ctx, l.p)
	return info.Begin, info.End, err
}

func (l hubLog) sequenceAt(ctx context.Context, t time.Time) (int64, error) {
	return l.h.SequenceAt(ctx, l.p, t)
}

func (l hubLog) open(ctx context.Context, from int64) (eventReader, error) {
	r, err := l.h.Reader(ctx, l.p, from)
	if err != nil {
		return nil, err
	}
	return &hubReader{r: r}, nil
}

type hubReader struct {
	r      *hub.Reader
	events []event
}

func (r *hubReader) close() { r.r.Close() }

func (r *hubReader) position() int64 { return r.r.Position() }

func (r *hubReader) next(ctx context.Context, limit int) ([]event, error) {
	read, err := r.r.Next(ctx, limit)
	if err != nil {
		return nil, err
	}
	r.events = r.events[:0]
	for i := range read {
		e := &read[i]
		out := event{sequence: e.Sequence, enqueued: e.Enqueued, body: e.Body(),
			system: e.SystemProperties(), custom: e.Properties()}
		if v, ok := e.BodyValue(); ok {
			out.body = bodyJSON(v)
		}
		r.events = append(r.events, out)
	}
	return r.events, nil
}
