package check

import (
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
)

// The rows of a step stay in the partition of the events that they come from,
// whether the step selects the key or not: FROM step PARTITION BY PartitionId
// finds a key that the step's own FROM was partitioned by, and PartitionId
// itself as long as nothing brings partitions together.

// carriedKey returns a key of PARTITION BY that is no column of a step but that
// its rows carry along; nil for all others.
func (e *entry) carriedKey(key syntax.Expr) plan.Expr {
	p, ok := e.rows.(*projectRows)
	if !ok {
		return nil
	}
	col, ok := syntax.Unparen(key).(*syntax.Column)
	if !ok || len(col.Path) != 1 {
		return nil
	}
	return p.carriedColumn(fold(col.Path[0].Name))
}

func (p *projectRows) carriedColumn(name string) plan.Expr {
	if p.open || p.has(name) || p.carried == nil {
		return nil
	}
	if slot, ok := p.carriedSlots[name]; ok {
		return slot
	}
	x := p.carried(name)
	if x == nil {
		return nil
	}
	if p.carriedSlots == nil {
		p.carriedSlots = map[string]*plan.Slot{}
	}
	slot := p.put(plan.Column{Name: name, Expr: x, Hidden: true}, nil)
	p.carriedSlots[name] = slot
	return slot
}

// carried returns a key by which the rows of the selection are partitioned,
// over the rows that its select list sees; nil if there is none of that name.
func (sel *selection) carried(name string) plan.Expr {
	for _, e := range sel.scope.entries {
		for i, own := range e.partitionNames {
			if own != name {
				continue
			}
			x := e.lift(sel.c, e.partition[i])
			if sel.group == nil {
				return x
			}
			for at, key := range sel.group.agg.Keys {
				if identity(key) == identity(x) {
					return &plan.Slot{Index: at}
				}
			}
			return nil
		}
	}
	if sel.group != nil || sel.scope.streams || len(sel.scope.entries) == 0 {
		return nil
	}
	switch e := sel.scope.entries[0]; rows := e.rows.(type) {
	case *projectRows:
		if x := rows.carriedColumn(name); x != nil {
			return e.lift(sel.c, x)
		}
	case *sourceRows:
		if name == "partitionid" && !e.reference {
			return e.lift(sel.c, rows.column("PartitionId"))
		}
	}
	return nil
}
