package capture

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"millrace/connector/blob"
	"millrace/connector/eventhubs/local/hub"
)

const (
	// lookInterval is how often hubs are listed without being told of a
	// change: topics may be created by others.
	lookInterval = 30 * time.Second
	// lookSoon is the interval after a listing has failed.
	lookSoon = time.Second
	// closeTimeout is how long Close waits for the beginnings of archives to
	// be written down.
	closeTimeout = 10 * time.Second
)

// Options are what a Service needs.
type Options struct {
	// Cluster holds the hubs.
	Cluster *hub.Cluster
	// Storage opens the bucket that a hub's description names. It is
	// called once per container, again after an error; the Service closes
	// what it has got.
	Storage func(container string) (blob.Bucket, error)
	// StateDir is a folder for the service's state and for the files that
	// are being filled, up to the size limit for each partition. If it is
	// on the file system of a folder that is the storage, finished files
	// are not copied. It belongs to one Service at a time, which Start makes
	// sure of by a lock in it.
	StateDir string
	// Log is for operators; nil: nothing is logged.
	Log *slog.Logger
}

// Service captures the hubs of a Cluster for which Capture is enabled. Its
// methods are safe for concurrent use.
type Service struct {
	opts   Options
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	ended  chan struct{} // an archive has ended

	// closing is closed by Close, looked when no look follows that.
	closing, looked chan struct{}
	closeOnce       sync.Once

	unlock     func() error
	unlockOnce sync.Once

	bucketsMu sync.Mutex
	buckets   map[string]blob.Bucket

	mu       sync.Mutex
	archives map[key]*archive
	invalid  map[key]string // what was said about descriptions
}

type key struct {
	namespace, hub string
	partition      int32
}

// Status says how far the archive of a partition is.
type Status struct {
	Namespace, Hub string
	Partition      int32
	// Next is the sequence number behind the last event in the archive.
	Next int64
	// Files, Events and Bytes count what is in the archive since its
	// beginning; LastFile is the name of the newest file.
	Files, Events, Bytes int64
	LastFile             string
	// Lost counts the events that had expired before they could be
	// captured, since the service was started.
	Lost int64
	// Err is why nothing gets on at the moment, nil if it does.
	Err error
}

// Start begins to capture. ctx bounds the first look at the hubs only; if the
// log does not answer by then, the Service goes on trying. The caller must
// Close it before the Cluster.
func Start(ctx context.Context, o Options) (*Service, error) {
	if o.Cluster == nil || o.Storage == nil || o.StateDir == "" {
		return nil, errors.New("capturing needs a cluster, a storage and a folder for its state")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	// No namespace has a name like that.
	unlock, err := hub.Lock(filepath.Join(o.StateDir, ".lock"))
	if err != nil {
		return nil, fmt.Errorf("opening the folder for the state of Capture: %w", err)
	}
	s := &Service{opts: o, log: o.Log, unlock: unlock, done: make(chan struct{}), ended: make(chan struct{}, 1),
		closing: make(chan struct{}), looked: make(chan struct{}),
		buckets: map[string]blob.Bucket{}, archives: map[key]*archive{}, invalid: map[key]string{}}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	changed := o.Cluster.Changed()
	ok := s.look(ctx)
	go s.follow(changed, ok)
	return s, nil
}

// Close stops capturing. The events of windows that are open stay in their hubs
// for the next Start. Where the archives of hubs begin is written down before
// Close returns, unless that takes longer than a few seconds: a hub for which
// Capture was enabled a moment ago is captured from there, even if the Cluster
// keeps no descriptions.
func (s *Service) Close() error {
	s.closeOnce.Do(func() { close(s.closing) })
	s.awaitBeginnings()
	s.cancel()
	<-s.done
	s.mu.Lock()
	archives := s.archives
	s.archives = map[key]*archive{}
	s.mu.Unlock()
	for _, a := range archives {
		<-a.done
	}
	s.bucketsMu.Lock()
	defer s.bucketsMu.Unlock()
	var errs []error
	for _, b := range s.buckets {
		errs = append(errs, b.Close())
	}
	clear(s.buckets)
	s.unlockOnce.Do(func() { errs = append(errs, s.unlock()) })
	return errors.Join(errs...)
}

// awaitBeginnings waits for a last look at the hubs, and until the archives have
// written down where they begin, or have failed at it.
func (s *Service) awaitBeginnings() {
	timeout := time.After(closeTimeout)
	select {
	case <-s.looked:
	case <-timeout:
		return
	}
	s.mu.Lock()
	archives := slices.Collect(maps.Values(s.archives))
	s.mu.Unlock()
	for _, a := range archives {
		select {
		case <-a.begun:
		case <-a.done:
		case <-timeout:
			return
		}
	}
}

// follow starts and stops archives as the hubs change.
func (s *Service) follow(changed <-chan struct{}, ok bool) {
	defer close(s.done)
	defer close(s.looked)
	for {
		wait := lookInterval
		if !ok {
			wait = lookSoon
		}
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-s.ended:
		case <-timer.C:
		case <-s.closing:
			timer.Stop()
			select {
			case <-changed:
			case <-s.ended:
			default:
				return
			}
			s.look(s.ctx)
			return
		}
		timer.Stop()
		changed = s.opts.Cluster.Changed()
		ok = s.look(s.ctx)
	}
}

// look brings the archives in line with the hubs. It is false if not all hubs
// could be listed.
func (s *Service) look(ctx context.Context) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return true
	}
	for k, a := range s.archives {
		if a.ended() {
			delete(s.archives, k)
		}
	}
	all := true
	for _, ns := range s.opts.Cluster.Namespaces() {
		hubs, err := ns.Hubs(ctx)
		if err != nil {
			if ctx.Err() == nil {
				s.log.Warn("Capture cannot list the hubs and tries again", "namespace", ns.Name(), "error", err)
			}
			all = false
			continue
		}
		for _, h := range hubs {
			s.lookAt(h)
		}
		for k, a := range s.archives {
			if k.namespace == ns.Name() && !slices.ContainsFunc(hubs, func(h *hub.Hub) bool { return h.Name() == k.hub }) {
				s.forget(k, a)
			}
		}
	}
	return all
}

// lookAt brings the archives of one hub in line with its description. s.mu is
// held.
func (s *Service) lookAt(h *hub.Hub) {
	info := h.Info()
	id := hubID(h)
	hubKey := key{info.Namespace, info.Name, -1}
	c := info.Capture
	enabled := c != nil && c.Enabled
	var set settings
	if c != nil {
		var err error
		if set, err = newSettings(c); err != nil && enabled {
			enabled = false
			if s.invalid[hubKey] != err.Error() {
				s.log.Error("Capture of a hub is not possible as it is described", "namespace", info.Namespace, "hub", info.Name, "error", err)
			}
			s.invalid[hubKey] = err.Error()
		} else {
			delete(s.invalid, hubKey)
		}
	}
	for k, a := range s.archives {
		if k.namespace == info.Namespace && k.hub == info.Name && a.hubID != id {
			s.forget(k, a) // of an earlier hub of that name
		}
	}
	for p := range int32(info.Partitions) {
		k := key{info.Namespace, info.Name, p}
		a := s.archives[k]
		switch {
		case a == nil && enabled:
			s.start(h, info, k, set, goOn)
		case a == nil && c != nil && !c.Enabled && s.unfinished(k, id):
			// It was switched off while nobody watched.
			s.start(h, info, k, set, pause)
		case a != nil && !enabled:
			a.finish(pause)
		case a != nil && !a.since.Equal(c.Since):
			a.finish(pause) // off and on again
		case a != nil && a.set != set:
			a.finish(change)
		}
	}
}

func hubID(h *hub.Hub) string {
	if !identified(h) {
		// An old cluster without identities: hubs of one name are one.
		return h.Topic()
	}
	id := h.ID()
	return hex.EncodeToString(id[:])
}

// identified tells whether a hub can be told from earlier ones of its name.
func identified(h *hub.Hub) bool { return h.ID() != [16]byte{} }

func (s *Service) dir(k key) string {
	return filepath.Join(s.opts.StateDir, strings.ToLower(k.namespace), k.hub)
}

func (s *Service) stateFile(k key) stateFile {
	return stateFile(filepath.Join(s.dir(k), strconv.Itoa(int(k.partition))+".json"))
}

// unfinished tells whether an archive of that hub was open when the service was
// stopped.
func (s *Service) unfinished(k key, id string) bool {
	st, err := s.stateFile(k).load()
	return err == nil && st != nil && st.Hub == id && !st.Paused
}

// start begins to capture a partition. s.mu is held.
func (s *Service) start(h *hub.Hub, info hub.Info, k key, set settings, how finish) {
	log := s.log.With("namespace", k.namespace, "hub", k.hub, "partition", k.partition)
	if err := os.MkdirAll(s.dir(k), 0o755); err != nil {
		log.Error("Capture cannot begin", "error", err)
		return // the next look tries again
	}
	since := info.Capture.Since
	a := newArchive(&archive{namespace: k.namespace, hub: k.hub, partition: k.partition, hubID: hubID(h), identified: identified(h),
		since: since, fresh: !since.IsZero() && !since.After(info.CreatedAt), set: set,
		log: hubLog{h, k.partition}, states: s.stateFile(k), dir: s.dir(k), storage: s.bucket, logger: log})
	ctx, cancel := context.WithCancel(s.ctx)
	a.cancel = cancel
	s.archives[k] = a
	if how != goOn {
		a.finish(how)
	}
	go func() {
		a.run(ctx)
		cancel()
		select {
		case s.ended <- struct{}{}:
		default:
		}
	}()
}

// forget ends the archive of a hub that is gone. Its state stays: a broker that
// comes back may leave a topic out for a while, and a hub that is seen again must
// not be archived twice. That of another hub of the name counts for nothing, see
// state.Hub. s.mu is held.
func (s *Service) forget(k key, a *archive) {
	a.cancel()
	<-a.done
	delete(s.archives, k)
	useless := []string{a.path()}
	if !a.identified {
		useless = append(useless, string(s.stateFile(k))) // the next hub could not be told from this one
	}
	for _, name := range useless {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.log.Warn("the state of a hub that is gone cannot be removed", "error", err)
		}
	}
	_ = os.Remove(s.dir(k)) // if that was all
}

// bucket opens the storage, once per container.
func (s *Service) bucket(container string) (blob.Bucket, error) {
	s.bucketsMu.Lock()
	defer s.bucketsMu.Unlock()
	if b := s.buckets[container]; b != nil {
		return b, nil
	}
	b, err := s.opts.Storage(container)
	if err != nil {
		return nil, fmt.Errorf("opening the storage of Capture: %w", err)
	}
	s.buckets[container] = b
	return b, nil
}

// FlushNow ends all windows that have events, and returns when every event that
// was in a captured hub when it was called is in the archive. The service itself
// has nothing like it. It fails when ctx ends, and at once where trying again is
// of no use.
func (s *Service) FlushNow(ctx context.Context) error {
	for {
		if !s.look(ctx) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return errors.New("the hubs could not be listed")
		}
		s.mu.Lock()
		var flushing, finishing []*archive
		for _, a := range s.archives {
			if a.isFinishing() {
				finishing = append(finishing, a)
			} else {
				flushing = append(flushing, a)
			}
		}
		s.mu.Unlock()
		for _, a := range finishing {
			if err := a.await(ctx, a.done); err != nil {
				return err
			}
		}
		if len(finishing) > 0 {
			continue // others may follow them
		}
		var requests []<-chan struct{}
		for _, a := range flushing {
			requests = append(requests, a.request())
		}
		for i, a := range flushing {
			if err := a.await(ctx, requests[i]); err != nil {
				return err
			}
		}
		return nil
	}
}

// Status returns the state of all archives, ordered by namespace, hub and
// partition.
func (s *Service) Status() []Status {
	s.mu.Lock()
	archives := make([]*archive, 0, len(s.archives))
	for _, a := range s.archives {
		archives = append(archives, a)
	}
	s.mu.Unlock()
	slices.SortFunc(archives, func(a, b *archive) int {
		if n := strings.Compare(a.namespace, b.namespace); n != 0 {
			return n
		}
		if n := strings.Compare(a.hub, b.hub); n != 0 {
			return n
		}
		return int(a.partition - b.partition)
	})
	out := make([]Status, len(archives))
	for i, a := range archives {
		a.mu.Lock()
		out[i] = a.status
		a.mu.Unlock()
	}
	return out
}
