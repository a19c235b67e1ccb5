package run

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"millrace/connector"
	"millrace/ui/cli"
)

// dataDir is the folder of one run:
//
//	run.json       what run this is, and how far it came
//	lock           held while somebody works here
//	ledger/        what was sent (docs/formats/ledger.md)
//	kafka/         the embedded log
//	store/         the embedded store
//	state/         snapshots of the processors' state
//	deadletters.jsonl
type dataDir struct {
	path      string
	temporary bool
	manifest  manifest
	lock      *os.File
}

// manifest is run.json.
type manifest struct {
	Format   int       `json:"format"`
	Run      string    `json:"run"`
	Solution string    `json:"solution"`
	Started  time.Time `json:"started"`
	// Finished is set once the simulation was complete, its events were
	// stored and the verdict was given.
	Finished time.Time `json:"finished,omitzero"`
	Passed   bool      `json:"passed,omitempty"`
}

const manifestFormat = 1

func usage(hint, format string, args ...any) error {
	return &cli.UsageError{Err: fmt.Errorf(format, args...), Hint: hint}
}

var runNames = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// openDataDir locks the folder (a temporary one if path is empty) and reads
// or begins its manifest. exclusive keeps everybody else out; the single
// stages of a run share the folder.
func openDataDir(path, run, solution string, exclusive bool) (*dataDir, error) {
	if run != "" && !runNames.MatchString(run) {
		return nil, usage("lower-case letters, digits and dashes, 40 at most", "%q is not a name for a run", run)
	}
	d := &dataDir{path: path}
	var err error
	if path == "" {
		d.temporary = true
		if d.path, err = os.MkdirTemp("", "millrace-"); err != nil {
			return nil, fmt.Errorf("making a temporary data directory: %w", err)
		}
	} else if err = os.MkdirAll(path, 0o755); err != nil {
		return nil, unwritable(path, err)
	}
	if d.path, err = filepath.Abs(d.path); err != nil {
		return nil, fmt.Errorf("resolving the data directory: %w", err)
	}
	if err := d.acquire(exclusive); err != nil {
		return nil, err
	}
	if err := d.load(run, solution); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func unwritable(path string, err error) error {
	return &connector.Hinted{Err: fmt.Errorf("cannot use the data directory %s: %w", path, err),
		Hint: "choose a writable one with --data-dir"}
}

func (d *dataDir) acquire(exclusive bool) error {
	f, err := os.OpenFile(filepath.Join(d.path, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return unwritable(d.path, err)
	}
	how := syscall.LOCK_SH
	if exclusive {
		how = syscall.LOCK_EX
	}
	if err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB); err != nil {
		return errors.Join(usage("wait for it to end, or choose another --data-dir",
			"the data directory %s is in use by another millrace", d.path), f.Close())
	}
	d.lock = f
	return nil
}

// load reads the manifest, or begins one.
func (d *dataDir) load(run, solution string) error {
	err := d.read(run, solution)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	given := run
	if run == "" {
		run = newRunName()
	}
	d.manifest = manifest{Format: manifestFormat, Run: run, Solution: solution, Started: time.Now().UTC()}
	err = d.write(os.Link) // which fails if another stage was first
	if errors.Is(err, fs.ErrExist) {
		return d.read(given, solution)
	}
	return err
}

// read reads the manifest of an existing run; fs.ErrNotExist says that there
// is none.
func (d *dataDir) read(run, solution string) error {
	data, err := os.ReadFile(d.file("run.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return usage("say where `millrace run` kept it", "%s is not the data directory of a run: %w", d.path, err)
	}
	if err != nil {
		return unwritable(d.path, err)
	}
	if err := json.Unmarshal(data, &d.manifest); err != nil || d.manifest.Format != manifestFormat {
		return usage("choose another --data-dir", "%s is not a run.json of this version", d.file("run.json"))
	}
	m := &d.manifest
	if m.Solution != solution || (run != "" && run != m.Run) {
		return usage("choose another --data-dir", "the data directory %s belongs to run %s of %s", d.path, m.Run, m.Solution)
	}
	return nil
}

// newRunName is short enough for topic and table names and sorts by nothing:
// runs are told apart, not ordered.
func newRunName() string { return "r" + strings.ToLower(rand.Text()[:7]) }

// save replaces the manifest.
func (d *dataDir) save() error { return d.write(os.Rename) }

// write puts the manifest in its place, whole, by publish.
func (d *dataDir) write(publish func(from, to string) error) error {
	data, err := json.MarshalIndent(&d.manifest, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding run.json: %w", err)
	}
	tmp, err := os.CreateTemp(d.path, "run.json.*")
	if err != nil {
		return unwritable(d.path, err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(append(data, '\n'))
	if err = errors.Join(err, tmp.Close()); err != nil {
		return unwritable(d.path, err)
	}
	if err := publish(tmp.Name(), d.file("run.json")); err != nil {
		return unwritable(d.path, err)
	}
	return nil
}

func (d *dataDir) file(name string) string { return filepath.Join(d.path, name) }

func (d *dataDir) close() error { return d.lock.Close() }

// remove deletes a temporary folder.
func (d *dataDir) remove() error {
	if !d.temporary {
		return nil
	}
	if err := os.RemoveAll(d.path); err != nil {
		return fmt.Errorf("removing the temporary data directory: %w", err)
	}
	return nil
}
