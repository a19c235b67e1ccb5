package txlog

// reads is what a change was decided on, prepared for comparing with commits
// that it did not know of.
type reads struct {
	all, serializable, dataChange bool
	// touched are the files that were read or that the change removes or
	// adds, with how.
	touched map[string]touch
	txns    map[string]bool
}

type touch struct{ read, removed, added bool }

func newReads(ch *Change, m *Metadata) *reads {
	r := &reads{all: ch.ReadsAll, serializable: !m.writeSerializable(), touched: map[string]touch{}, txns: map[string]bool{}}
	for _, path := range ch.ReadsFiles {
		t := r.touched[path]
		t.read = true
		r.touched[path] = t
	}
	for _, f := range ch.Remove {
		t := r.touched[f.key()]
		t.removed = true
		r.touched[f.key()] = t
		r.dataChange = r.dataChange || f.DataChange
	}
	for _, f := range ch.Add {
		t := r.touched[f.key()]
		t.added = true
		r.touched[f.key()] = t
		r.dataChange = r.dataChange || f.DataChange
	}
	for _, t := range ch.Txns {
		r.txns[t.AppID] = true
	}
	for _, id := range ch.ReadsTxns {
		r.txns[id] = true
	}
	return r
}

// blind tells whether the change looked at no file: it goes together with
// anything that others do to files.
func (r *reads) blind() bool {
	if r.all {
		return false
	}
	for _, t := range r.touched {
		if t.read || t.removed {
			return false
		}
	}
	return true
}

// conflict says why the change cannot follow the commit w, which it did not
// know of; nil if it can.
func (r *reads) conflict(w *commit) *ConflictError {
	fail := func(kind ConflictKind, what string) *ConflictError {
		return &ConflictError{Kind: kind, Winner: w.version, Info: w.info, What: what}
	}
	switch {
	case w.protocol != nil:
		return fail(ConflictProtocol, "")
	case w.metadata != nil:
		return fail(ConflictMetadata, "")
	}
	for _, t := range w.txns {
		if r.txns[t.AppID] {
			return fail(ConflictTxn, t.AppID)
		}
	}
	blind := true
	for _, f := range w.files {
		blind = blind && f.remove == nil
	}
	// What only rearranges rows has read their values as they are now, and
	// new rows do not change those. Else new rows are a conflict, though
	// not (unless the table insists) those of who had read nothing, as
	// they could as well have come later.
	matters := r.all && r.dataChange && (r.serializable || !(blind && w.info.BlindAppend))
	for _, f := range w.files {
		if f.remove != nil {
			switch t := r.touched[f.remove.key()]; {
			case t.removed || t.added:
				return fail(ConflictBoth, f.remove.Path)
			case t.read || r.all && r.dataChange && f.remove.DataChange:
				return fail(ConflictRemoved, f.remove.Path)
			}
			continue
		}
		switch t := r.touched[f.add.key()]; {
		case t.added || t.removed:
			return fail(ConflictBoth, f.add.Path)
		case matters && f.add.DataChange:
			return fail(ConflictRead, f.add.Path)
		}
	}
	return nil
}
