package offline

import (
	"context"
	"io"
	"slices"
	"time"

	"millrace/process/streamanalytics/files"
)

// follower is a Reader of events that come as time goes by. It ends with its
// context, which is the end of the input and no error.
type follower struct {
	ctx     context.Context
	records chan read
	// wait is called when there is nothing to read, and each second after.
	wait func() error
}

// read is a record, or why there are no more.
type read struct {
	files.Record
	err error
}

// pollEvery is how often a file that is followed is looked at, waitEvery how
// often the clock goes on.
const (
	pollEvery = 200 * time.Millisecond
	waitEvery = time.Second
)

// follow opens a file, or standard input, for reading as it grows. With tail it
// does not end where the file ends.
func follow(ctx context.Context, f files.File, open files.Opener, tail bool, wait func() error) (files.Reader, error) {
	if tail && f.Path != files.Stdin {
		plain := open
		open = func(path string) (io.ReadCloser, error) {
			in, err := plain(path)
			if err != nil {
				return nil, err
			}
			return &tailing{in, ctx}, nil
		}
	}
	w := &follower{ctx: ctx, records: make(chan read, 256), wait: wait}
	go w.pump(f, open)
	return w, nil
}

// pump reads records until there are no more. The reader may block for good
// (standard input does), so nothing waits for its end.
func (w *follower) pump(f files.File, open files.Opener) {
	defer close(w.records)
	send := func(r read) bool {
		select {
		case w.records <- r:
			return true
		case <-w.ctx.Done():
			return false
		}
	}
	r, err := files.Open(f, open)
	if err != nil {
		send(read{err: err})
		return
	}
	defer func() { _ = r.Close() }()
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return
		}
		rec.JSON = slices.Clone(rec.JSON)
		if !send(read{rec, err}) || err != nil {
			return
		}
	}
}

// Next implements files.Reader.
func (w *follower) Next() (files.Record, error) {
	select {
	case r, ok := <-w.records:
		return take(r, ok)
	default:
	}
	tick := time.NewTicker(waitEvery)
	defer tick.Stop()
	for {
		if err := w.wait(); err != nil {
			return files.Record{}, err
		}
		select {
		case r, ok := <-w.records:
			return take(r, ok)
		case <-w.ctx.Done():
			return files.Record{}, io.EOF
		case <-tick.C:
		}
	}
}

func take(r read, ok bool) (files.Record, error) {
	if !ok {
		return files.Record{}, io.EOF
	}
	return r.Record, r.err
}

// Close implements files.Reader. What is being read is left to the pump.
func (w *follower) Close() error { return nil }

// tailing waits at the end of a file for more of it.
type tailing struct {
	io.ReadCloser
	ctx context.Context
}

func (t *tailing) Read(p []byte) (int, error) {
	for {
		n, err := t.ReadCloser.Read(p)
		if n > 0 || err != nil && err != io.EOF {
			return n, err
		}
		select {
		case <-t.ctx.Done():
			return 0, io.EOF
		case <-time.After(pollEvery):
		}
	}
}
