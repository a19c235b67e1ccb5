package txlog

import (
	"time"
)

// cleanEvery is how often the log is cleaned up at most: all of it is listed.
const cleanEvery = time.Hour

// maintain starts writing a checkpoint of s, and cleaning the log up, if it is
// time. One at a time: where they take longer than the interval, fewer are
// written.
func (t *Table) maintain(s *Snapshot) {
	if t.opts.NoCheckpoints || s.Version == 0 || s.Version%s.Metadata.CheckpointInterval() != 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.maintaining || t.closed {
		return
	}
	t.maintaining = true
	clean := s.Metadata.logCleanup() && time.Since(t.cleaned) > cleanEvery
	if clean {
		t.cleaned = time.Now()
	}
	t.background.Go(func() {
		defer func() {
			t.mu.Lock()
			t.maintaining = false
			t.mu.Unlock()
		}()
		// The commit is made; what fails here is made up for by the next
		// checkpoint.
		if err := t.checkpoint(t.life, s, false); err != nil {
			t.opts.Log.Warn("no checkpoint was written", "version", s.Version, "error", err)
			return
		}
		t.trim()
		if !clean {
			return
		}
		if n, err := t.CleanUp(t.spare); err != nil && t.spare.Err() == nil {
			t.opts.Log.Warn("the log was not cleaned up", "error", err)
		} else if n > 0 {
			t.opts.Log.Info("the log was cleaned up", "table", t.Describe(), "objects", n)
		}
	})
}

// trim lets go of tombstones that no one needs any more.
func (t *Table) trim() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.latest != nil {
		t.latest = t.latest.forget(t.now())
	}
}
