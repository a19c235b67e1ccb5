package delta

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/connector/delta/txlog"
)

// deleters is how many files VACUUM deletes at once.
const deleters = 8

// VacuumOptions say what VACUUM deletes.
type VacuumOptions struct {
	// Retention is for how long a file is kept after it was removed from
	// the table; 0: as long as the table says (7 days unless it does). It
	// cannot be longer than that, as the log forgets removals by then.
	Retention time.Duration
	// AllowShort permits a Retention below that of the table: readers of
	// older versions, and writers that have not committed their files yet,
	// may then break. With it a Retention of 0 is none at all.
	AllowShort bool
	// DryRun only tells what would be deleted.
	DryRun bool
}

// Vacuumed says what VACUUM has deleted, or would have.
type Vacuumed struct {
	// Version is that of the table by which it was decided.
	Version   int64         `json:"version"`
	Retention time.Duration `json:"-"`
	// RetentionHours is Retention, for JSON.
	RetentionHours float64  `json:"retentionHours"`
	DryRun         bool     `json:"dryRun"`
	Files          []string `json:"files"`
	Bytes          int64    `json:"bytes"`
	// Kept is how many files are not in the table but too young to go.
	Kept int `json:"kept"`
}

// Vacuum deletes the files in the table's folder that no version within the
// retention needs. What it keeps: the files of the newest version; files that
// were removed less than the retention ago; and files that are younger, as a
// writer may be about to commit them. Versions older than the retention cannot
// be read any more afterwards.
func (t *Table) Vacuum(ctx context.Context, o VacuumOptions) (*Vacuumed, error) {
	snap, err := t.snapshot(ctx, "VACUUM")
	if err != nil {
		return nil, err
	}
	if err := t.own(snap); err != nil {
		return nil, err
	}
	kept := snap.Metadata.FileRetention()
	if o.Retention == 0 && !o.AllowShort {
		o.Retention = kept
	}
	switch {
	case o.Retention < kept && !o.AllowShort:
		return nil, &connector.Hinted{Hint: "add --allow-short-retention if nobody writes to the table or reads older versions of it",
			Err: fmt.Errorf("a retention of %s is less than the %s that the table asks for: running writers and readers could lose files", o.Retention, kept)}
	case o.Retention > kept:
		return nil, &connector.Hinted{Hint: "set the table's property " + txlog.PropFileRetention,
			Err: fmt.Errorf("a retention of %s is more than the %s for which the table's log remembers what was removed", o.Retention, kept)}
	}
	v := &Vacuumed{Version: snap.Version, Retention: o.Retention, RetentionHours: o.Retention.Hours(), DryRun: o.DryRun, Files: []string{}}
	doomed, err := t.doomed(ctx, snap, time.Now().Add(-o.Retention), v)
	if err != nil || o.DryRun {
		return v, err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(deleters)
	for _, name := range doomed {
		g.Go(func() error { return t.bucket.Delete(ctx, t.log.Prefix()+name) })
	}
	if err := g.Wait(); err != nil {
		return nil, t.failed("VACUUM", err)
	}
	return v, nil
}

// own refuses tables of which it cannot be told which files are theirs.
func (t *Table) own(snap *txlog.Snapshot) error {
	refuse := func(why string) error {
		return &connector.Hinted{Hint: "vacuum it with the program that made it", Err: fmt.Errorf("VACUUM of %s: %s", t.Describe(), why)}
	}
	// What is not known may have files of its own.
	if err := t.log.Writable(snap); err != nil {
		return refuse(err.Error())
	}
	if snap.Protocol.Has("deletionVectors") {
		return refuse("it may have deletion vectors, which are files that its log names in another way")
	}
	for a := range snap.Files() {
		if a.Absolute() {
			return refuse("it has files that are named by whole addresses, such as a shallow clone has, so it cannot be told which are its own")
		}
	}
	return nil
}

// doomed lists what is to be deleted, and counts it.
func (t *Table) doomed(ctx context.Context, snap *txlog.Snapshot, before time.Time, v *Vacuumed) ([]string, error) {
	live, young := map[string]bool{}, map[string]bool{}
	for a := range snap.Files() {
		live[a.Path] = true
	}
	for r := range snap.Tombstones() {
		if r.Deleted >= before.UnixMilli() {
			young[r.Path] = true
		}
	}
	prefix := t.log.Prefix()
	err := t.bucket.List(ctx, prefix, func(i blob.Info) error {
		name := strings.TrimPrefix(i.Name, prefix)
		switch {
		case hidden(name, snap.Metadata.PartitionColumns):
		case live[name]:
		case young[name], i.Modified.After(before):
			v.Kept++
		default:
			v.Files = append(v.Files, name)
			v.Bytes += i.Size
		}
		return nil
	})
	if err != nil {
		return nil, t.failed("VACUUM", err)
	}
	return v.Files, nil
}

// hidden tells whether a file is none of the table's: a part of its name begins
// with a dot or an underscore, unless that is a column of its partitions, or
// one of the folders that are the table's for all that.
func hidden(name string, partitions []string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if !strings.HasPrefix(part, ".") && !strings.HasPrefix(part, "_") {
			continue
		}
		if part == "_change_data" || part == "_delta_index" {
			continue
		}
		column, _, ok := strings.Cut(part, "=")
		if !ok || !slices.Contains(partitions, column) {
			return true
		}
	}
	return false
}
