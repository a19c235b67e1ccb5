package check

import (
	"strings"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/timing"
	"millrace/process/streamanalytics/value"
)

const sessionKind = timing.Session

// windows binds a member of GROUP BY that is a window or a set of them.
func (sel *selection) windows(b *binder, x syntax.Expr) ([]plan.Window, bool) {
	switch x := x.(type) {
	case *syntax.Window:
		return []plan.Window{b.window(x)}, true
	case *syntax.Windows:
		return b.windowSet(x), true
	}
	if isTimestamp(x) {
		return []plan.Window{{Spec: timing.Window{Kind: timing.Snapshot}}}, true
	}
	return nil, false
}

func (b *binder) windowSet(x *syntax.Windows) []plan.Window {
	var out []plan.Window
	seen := map[string]*syntax.String{}
	for _, n := range x.Windows {
		if n.Window == nil {
			continue
		}
		if (n.ID == nil) != (x.Windows[0].ID == nil) {
			b.c.report(n, "write Window('id', ...) for each of them, or for none", "either all windows of Windows() have an id or none has")
		}
		w := b.window(n.Window)
		if n.ID != nil {
			id := n.ID.Value
			w.ID = &id
			if before, ok := seen[fold(id)]; ok {
				b.c.report(n.ID, "", "two windows have the id %s; the first one is at %s", "'"+id+"'", before.Pos())
			} else {
				seen[fold(id)] = n.ID
			}
		}
		out = append(out, w)
	}
	return out
}

func (b *binder) window(x *syntax.Window) plan.Window {
	w := plan.Window{}
	spec := &w.Spec
	switch x.Kind {
	case syntax.Tumbling:
		spec.Kind = timing.Tumbling
		spec.Size = b.length(x.Size, "the size of a window", timing.MaxWindow)
	case syntax.Hopping:
		spec.Kind = timing.Hopping
		spec.Size = b.length(x.Size, "the size of a window", timing.MaxWindow)
		spec.Hop = b.length(x.Hop, "the hop of a window", timing.MaxWindow)
	case syntax.Sliding:
		spec.Kind = timing.Sliding
		spec.Size = b.length(x.Size, "the size of a window", timing.MaxWindow)
	case syntax.Snapshot:
		spec.Kind = timing.Snapshot
	case syntax.Session:
		spec.Kind = timing.Session
		spec.Timeout = b.length(x.Size, "the timeout of a session", timing.MaxWindow)
		// Without a limit of its own a session has that of all windows.
		spec.MaxDuration = timing.MaxWindow
		if x.MaxDuration != nil {
			spec.MaxDuration = b.length(x.MaxDuration, "the longest duration of a session", timing.MaxWindow)
		}
	}
	if x.Offset != nil {
		spec.Offset = b.offset(x.Offset, spec.Size)
	}
	w.PartitionBy = b.exprs(x.PartitionBy)
	return w
}

// length binds a duration of more than nothing, in ticks; what is wrong is
// reported and becomes one second.
func (b *binder) length(d *syntax.Duration, what string, most int64) int64 {
	ticks, ok := b.duration(d, what)
	switch {
	case !ok:
		return value.TicksPerSecond
	case ticks <= 0:
		b.c.report(d.Value, "", "%s is more than 0", what)
		return value.TicksPerSecond
	case most > 0 && ticks > most:
		b.c.report(d.Value, "", "%s is at most 7 days", what)
		return value.TicksPerSecond
	}
	return ticks
}

func (b *binder) offset(d *syntax.Duration, size int64) int64 {
	ticks, ok := b.duration(d, "the offset of a window")
	if ok && (ticks > size || -ticks > size) {
		b.c.report(d.Value, "", "the offset of a window is at most its size")
	}
	return ticks
}

// duration binds a number of units, in ticks.
func (b *binder) duration(d *syntax.Duration, what string) (int64, bool) {
	if d == nil || d.Unit == nil || d.Unit.Unit == syntax.NoUnit || d.Value == nil {
		return 0, false
	}
	n, ok := b.wholeNumber(d.Value, what)
	if !ok {
		return 0, false
	}
	ticks, err := timing.Duration(n, d.Unit.Unit)
	if err != nil {
		b.c.report(d.Value, "", "%s", err)
		return 0, false
	}
	return ticks, true
}

// wholeNumber binds a constant bigint.
func (b *binder) wholeNumber(x syntax.Expr, what string) (int64, bool) {
	errors := len(b.c.diags)
	inner := &binder{c: b.c, scope: &scope{}, clause: "a duration"}
	if columns(x) > 0 {
		b.c.report(x, "", "%s is a constant whole number", what)
		return 0, false
	}
	k, ok := inner.expr(x).(*plan.Const)
	if !ok || k.Value.Kind() != value.BigInt {
		if len(b.c.diags) == errors {
			b.c.report(x, "", "%s is a constant whole number", what)
		}
		return 0, false
	}
	return k.Value.Int(), true
}

// columns counts the columns that x names.
func columns(x syntax.Expr) int {
	n := 0
	syntax.Inspect(x, func(node syntax.Node) bool {
		if _, ok := node.(*syntax.Column); ok {
			n++
		}
		return true
	})
	return n
}

func isName(id *syntax.Ident, name string) bool { return strings.EqualFold(id.Name, name) }
