package simulate

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"millrace/record"
)

// ErrLedgerFinished is returned for a folder whose run is finished: there is
// nothing to continue.
var ErrLedgerFinished = record.ErrLedgerFinished

// ErrLedgerDiffers is what every *LedgerDiffers is.
var ErrLedgerDiffers = errors.New("the ledger is of another run")

// LedgerDiffers says why the run in a folder cannot be continued with the
// present configuration.
type LedgerDiffers struct {
	Path string
	// Differences are sentences such as "rate: the ledger has 1000, now it
	// is 5000".
	Differences []string
}

func (e *LedgerDiffers) Error() string {
	return fmt.Sprintf("the run that %s began cannot go on with another configuration: %s", e.Path, strings.Join(e.Differences, "; "))
}

// Is makes errors.Is(err, ErrLedgerDiffers) true.
func (e *LedgerDiffers) Is(target error) bool { return target == ErrLedgerDiffers }

// LedgerPath returns the ledger file of one instance (from 1) in a folder.
func LedgerPath(dir string, instance, instances int) string {
	return filepath.Join(dir, fmt.Sprintf("simulate-%d-of-%d%s", instance, instances, record.LedgerSuffix))
}

// New prepares a simulator for the run of this name, with its ledger in the
// folder dir. If the folder has an unfinished ledger of this run and
// configuration, the simulator goes on where it ended. If it is finished, New
// fails with ErrLedgerFinished; if it is of another run or configuration, with
// a *LedgerDiffers; if another simulator is writing it, with
// record.ErrLedgerInUse. Close the simulator if it is not run.
func New(cfg Config, dir, run string) (*Simulator, error) {
	if errs := cfg.Validate(); len(errs) > 0 {
		return nil, fmt.Errorf("simulate: %w", errors.Join(errs...))
	}
	path := LedgerPath(dir, cfg.Instance, cfg.Instances)
	text, _, err := cfg.templateText()
	if err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	header := cfg.header(run, cfg.Seed, text)
	existing, err := otherLedgers(dir, path, &header)
	if err != nil {
		return nil, err
	}
	if existing != nil && header.Seed == 0 {
		header.Seed = existing.Seed
	}
	if header.Seed == 0 {
		header.Seed = pickSeed(run, cfg.Instances)
	}
	s := &Simulator{cfg: cfg, plan: newPlan(cfg, header.Seed), path: path}
	if s.template, err = cfg.compile(header.Seed); err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	s.ledger, err = record.CreateLedger(path, header)
	if errors.Is(err, record.ErrLedgerExists) {
		err = s.resume(path)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// pickSeed chooses a seed where none is configured. The instances of a run
// must have the same, and nothing else in common than the run's name. Seeds
// stay below 2^53, so that any JSON reader can hold them.
func pickSeed(run string, instances int) uint64 {
	if instances > 1 {
		return record.RawHash([]byte(run))>>11 | 1
	}
	return rand.Uint64N(1<<53-1) + 1
}

// otherLedgers compares the ledgers of a folder with the run that is to begin
// or to go on. It removes this instance's if its simulator died before it had a
// header, and returns the header of any that is there.
func otherLedgers(dir, own string, want *record.LedgerHeader) (*record.LedgerHeader, error) {
	paths, err := record.LedgerPaths(dir)
	if errors.Is(err, record.ErrNoLedger) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	var found *record.LedgerHeader
	for _, path := range paths {
		h, err := record.ReadLedgerHeader(path)
		if errors.Is(err, record.ErrLedgerEmpty) {
			if path == own {
				err = record.RemoveEmptyLedger(path)
			} else {
				err = nil // of another instance, which may be creating it
			}
			if err != nil {
				return nil, fmt.Errorf("simulate: %w", err)
			}
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("simulate: %w", err)
		}
		if diff := differences(h, want); len(diff) > 0 {
			return nil, &LedgerDiffers{Path: path, Differences: diff}
		}
		found = h
	}
	return found, nil
}

// differences lists what keeps two ledgers from being of one run. A seed of 0
// is like any.
func differences(old, now *record.LedgerHeader) []string {
	var out []string
	compare := func(name string, a, b any) {
		if a != b {
			out = append(out, fmt.Sprintf("%s: the ledger has %v, now it is %v", name, a, b))
		}
	}
	compare("run", old.Run, now.Run)
	if now.Seed != 0 {
		compare("seed", old.Seed, now.Seed)
	}
	compare("instances", old.Instances, now.Instances)
	compare("devices", old.Devices, now.Devices)
	compare("devicePrefix", old.DevicePrefix, now.DevicePrefix)
	compare("rate", old.Rate, now.Rate)
	var names []string
	for name := range old.Settings {
		names = append(names, name)
	}
	for name := range now.Settings {
		if _, ok := old.Settings[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		a, b := old.Settings[name], now.Settings[name]
		switch {
		case name == "template" && a != b:
			out = append(out, "the template (or complexDataCount) is another")
		case a == "":
			a = "nothing"
			fallthrough
		default:
			if b == "" {
				b = "nothing"
			}
			compare(name, a, b)
		}
	}
	return out
}

// resume continues the ledger at path.
func (s *Simulator) resume(path string) error {
	r := resumption{s: s, pending: make(map[uint64]record.Entry)}
	ledger, state, err := record.ResumeLedger(path, r.visit)
	if err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	s.ledger, s.next, s.resumed, s.active = ledger, state.UniqueEntries, true, state.Active
	for _, d := range state.InDoubt {
		s.retries = append(s.retries, retry{entry: d.Entry, index: d.Index})
	}
	for _, e := range r.pending {
		// Their delay is taken to be over, whatever the interruption lasted.
		s.again.add(e, time.UnixMicro(e.CreatedAt))
	}
	s.broken, s.brokenDue = r.broken, r.brokenDue
	t := &state.Totals
	s.counts.sent.Store(t.Sent)
	s.counts.acked.Store(t.Acked)
	s.counts.unique.Store(t.Unique)
	s.counts.duplicates.Store(t.Duplicates)
	s.counts.malformed.Store(t.Malformed)
	s.counts.made.Store(s.next)
	return nil
}

// resumption finds out, entry by entry, what the run has not sent yet of what
// goes with the events it did send.
type resumption struct {
	s    *Simulator
	next int64
	// pending are the duplicates to be sent, by device and sequence.
	pending map[uint64]record.Entry
	// broken payloads were sent, brokenDue should have been.
	broken, brokenDue int64
}

func (r *resumption) visit(e *record.Entry) error {
	key := uint64(e.Device)<<40 | uint64(e.Sequence)
	switch e.Kind {
	case record.Duplicate:
		delete(r.pending, key)
	case record.Malformed:
		r.broken++
	case record.Unique:
		made := r.s.plan.event(r.next, 0)
		if made.id != e.ID || made.device != e.Device || made.sequence != e.Sequence {
			return &LedgerDiffers{Path: r.s.path, Differences: []string{fmt.Sprintf(
				"event %d of the ledger is %s, and would be %s now (the ledger was written by another version of Millrace)", r.next, e.ID, made.id)}}
		}
		r.next++
		if dup, _ := r.s.plan.duplicate(&made); dup {
			r.pending[key] = *e
		}
		if r.s.plan.malformed(&made) {
			r.brokenDue++
		}
	}
	return nil
}
