package exec

import (
	"fmt"
	"reflect"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/value"
)

// match looks for a pattern in the rows of each key. Every row begins an
// attempt of its own (AFTER MATCH SKIP TO NEXT ROW). An attempt has threads, in
// the order in which they are preferred; a match is given out when no thread
// that is preferred to it is left, or when the attempt's time is over.
type match struct {
	outlet
	account
	keys     []evalFunc
	limit    int64
	steps    []step
	conds    []condFunc
	measures []evalFunc
	width    int
	// pure: whether a row fulfils a symbol does not depend on what was matched
	// before. Of threads at the same step only the first one counts then.
	pure bool

	table *keyTable
	// runs are by the table's numbers.
	runs []*matchRun
	// order has all attempts in the order of their beginnings, also those that
	// are over.
	order deque[matchDue]
	seq   uint64

	key     []byte
	values  []value.Value
	row     row
	result  row
	view    matchView
	visited []uint64
	round   uint64
}

// matchDue says when an attempt's time is over.
type matchDue struct {
	at  int64
	seq uint64
	run uint32
}

// matchRun are the attempts of a key, and the rows that they may have matched.
type matchRun struct {
	rows     deque[*matchRow]
	attempts []*attempt
	// n is the number of the next row.
	n uint64
}

type attempt struct {
	seq     uint64
	start   int64
	first   uint64
	threads []thread
	best    *binding
	// bindings counts those that were made.
	bindings int64
}

type thread struct {
	step  int
	chain *binding
}

const (
	matchRowSize = 56
	bindingSize  = 32
	attemptSize  = 120
	runSize      = 120
	// maxThreads bounds the ways in which an attempt may still match.
	maxThreads = 4096
)

func newMatch(e *env, n *plan.Match) (*match, error) {
	m := &match{
		outlet: newOutlet(), account: account{env: e, head: &n.Common, name: "MATCH_RECOGNIZE"},
		limit: n.Limit, width: n.Inputs[0].Head().Width, table: newKeyTable(len(n.PartitionBy)),
		values: make([]value.Value, len(n.PartitionBy)), pure: true,
		result: row{slots: make([]value.Value, len(n.PartitionBy)+len(n.Measures))},
	}
	var err error
	if m.keys, err = e.comp.exprs(n.PartitionBy); err != nil {
		return nil, err
	}
	if m.steps, err = compilePattern(n.Pattern, len(n.Symbols)); err != nil {
		return nil, placed(n.Pos, err)
	}
	m.visited = make([]uint64, len(m.steps))
	for i, s := range n.Symbols {
		cond, err := e.comp.optional(s.Cond)
		if err != nil {
			return nil, err
		}
		m.conds = append(m.conds, cond)
		m.pure = m.pure && !looksBack(reflect.ValueOf(s.Cond), i)
	}
	for _, c := range n.Measures {
		f, err := e.comp.expr(c.Expr)
		if err != nil {
			return nil, err
		}
		m.measures = append(m.measures, f)
	}
	return m, nil
}

// looksBack tells whether the condition of a symbol refers to rows that were
// matched before. It is asked once, when a task is made.
func looksBack(v reflect.Value, symbol int) bool {
	if !v.IsValid() {
		return false
	}
	switch x := v.Interface().(type) {
	case *plan.SymbolAggregate, *plan.Classifier:
		return true
	case *plan.SymbolValue:
		return x.First || x.Symbol != symbol && x.Symbol >= 0
	case value.Value:
		return false
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return !v.IsNil() && v.Type().String() != "*function.Scalar" && looksBack(v.Elem(), symbol)
	case reflect.Slice:
		for i := range v.Len() {
			if looksBack(v.Index(i), symbol) {
				return true
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && looksBack(v.Field(i), symbol) {
				return true
			}
		}
	}
	return false
}

func (m *match) push(_ int, r *row) error {
	if r.early {
		return nil
	}
	m.key = m.key[:0]
	for i, f := range m.keys {
		v, err := f(r)
		if err != nil {
			return err
		}
		m.values[i] = v
		m.key = v.AppendKey(m.key)
	}
	m.row = row{time: r.time, slots: r.slots, match: &m.view}
	g, known := m.table.find(m.key)
	var now *matchRow
	if known {
		var err error
		if now, err = m.goOn(g); err != nil {
			return err
		}
	}
	return m.begin(g, known, now)
}

// goOn hands the present row to the attempts of a key, and returns the row as it
// is kept if one of them has matched it.
func (m *match) goOn(g uint32) (*matchRow, error) {
	run := m.runs[g]
	if run == nil {
		return nil, nil
	}
	var now *matchRow
	for _, a := range run.attempts {
		if m.limit > 0 && m.row.time-a.start > m.limit {
			a.threads = nil
		} else if err := m.step(run, a, &now); err != nil {
			return now, err
		}
	}
	return now, m.settle(g)
}

// begin starts an attempt with the present row.
func (m *match) begin(g uint32, known bool, now *matchRow) error {
	a := &attempt{start: m.row.time}
	m.round++
	if _, err := m.follow(a, 0, nil); err != nil {
		return err
	}
	run := &matchRun{}
	if known && m.runs[g] != nil {
		run = m.runs[g]
	} else {
		// The attempts before are over, and their rows are forgotten.
		now = nil
	}
	if err := m.step(run, a, &now); err != nil {
		return err
	}
	if now == nil || len(a.threads) == 0 && a.best == nil {
		return nil
	}
	a.first = now.n
	g, grown := m.table.group(m.key, m.values)
	for int(g) >= len(m.runs) {
		m.runs = append(m.runs, nil)
	}
	if m.runs[g] == nil {
		m.runs[g] = run
		m.table.use(g)
		grown += runSize
	}
	m.grow(grown)
	m.enlist(g, a)
	return m.settle(g)
}

func (m *match) enlist(g uint32, a *attempt) {
	m.seq++
	a.seq = m.seq
	run := m.runs[g]
	run.attempts = append(run.attempts, a)
	m.order.push(matchDue{at: a.start, seq: a.seq, run: g})
	m.grow(attemptSize)
}

// step hands the present row to the threads of an attempt.
func (m *match) step(run *matchRun, a *attempt, now **matchRow) error {
	old := a.threads
	a.threads = nil
	m.round++
	for _, t := range old {
		symbol := m.steps[t.step].symbol
		if cond := m.conds[symbol]; cond != nil {
			m.view = matchView{chain: t.chain, symbol: symbol}
			ok, err := cond(&m.row)
			if err != nil {
				return err
			}
			if ok != value.True {
				continue
			}
		}
		if *now == nil {
			*now = m.keep(run)
		}
		chain := &binding{row: *now, symbol: symbol, prev: t.chain}
		a.bindings++
		m.grow(bindingSize)
		done, err := m.follow(a, m.steps[t.step].a, chain)
		if err != nil {
			return err
		}
		if done {
			// What comes now is less preferred than this match.
			break
		}
		if !m.pure {
			m.round++
		}
	}
	return nil
}

// follow adds the threads that go on from a step. It returns true when it comes
// to the end of the pattern. Steps that were visited in this round are left out.
func (m *match) follow(a *attempt, at int, chain *binding) (done bool, err error) {
	if at < 0 || m.visited[at] == m.round {
		return false, nil
	}
	m.visited[at] = m.round
	switch s := &m.steps[at]; s.kind {
	case wantRow:
		if len(a.threads) >= maxThreads {
			return false, placed(m.head.Pos, fmt.Errorf("the pattern can match in more than %d ways from one row on; make its conditions exclude each other", maxThreads))
		}
		a.threads = append(a.threads, thread{step: at, chain: chain})
	case either:
		if done, err = m.follow(a, s.a, chain); done || err != nil {
			return done, err
		}
		return m.follow(a, s.b, chain)
	case matched:
		if chain != nil {
			a.best = chain
		}
		return true, nil
	}
	return false, nil
}

// keep copies the present row for the key's attempts.
func (m *match) keep(run *matchRun) *matchRow {
	slots, size := cloneSlots(m.row.slots)
	now := &matchRow{n: run.n, time: m.row.time, slots: slots}
	run.n++
	run.rows.push(now)
	m.grow(size + matchRowSize)
	return now
}

// settle gives out the matches of attempts that are over, and forgets these and
// the rows that no other needs.
func (m *match) settle(g uint32) error {
	run := m.runs[g]
	kept := run.attempts[:0]
	for i, a := range run.attempts {
		if len(a.threads) > 0 {
			kept = append(kept, a)
			continue
		}
		m.grow(-attemptSize - a.bindings*bindingSize)
		if a.best != nil {
			if err := m.give(g, a.best); err != nil {
				run.attempts = append(kept, run.attempts[i+1:]...)
				return err
			}
		}
	}
	clear(run.attempts[len(kept):])
	run.attempts = kept
	for run.rows.len() > 0 && (len(kept) == 0 || (*run.rows.front()).n < kept[0].first) {
		r := run.rows.pop()
		m.grow(-sizeOf(r.slots) - matchRowSize)
	}
	if len(kept) == 0 {
		m.runs[g] = nil
		m.grow(-runSize)
		m.table.release(g)
	}
	return nil
}

// give hands on the row of a match.
func (m *match) give(g uint32, best *binding) error {
	n := len(m.keys)
	m.table.values(g, m.result.slots[:n])
	r := row{time: best.row.time, slots: best.row.slots, match: &m.view}
	m.view = matchView{chain: best, symbol: -1}
	for i, f := range m.measures {
		v, err := f(&r)
		if err != nil {
			return err
		}
		m.result.slots[n+i] = v
	}
	m.result.time = best.row.time
	return m.emit(&m.result)
}

// active tells whether an attempt is still going on.
func (m *match) active(d *matchDue) *attempt {
	if run := m.runs[d.run]; run != nil {
		for _, a := range run.attempts {
			if a.seq == d.seq {
				return a
			}
			if a.seq > d.seq {
				break
			}
		}
	}
	return nil
}

func (m *match) advance(_ int, t int64) error {
	gone := false
	for m.order.len() > 0 {
		first := m.order.front()
		a := m.active(first)
		if a != nil {
			if t != endOfTime && (m.limit <= 0 || minus(t, first.at) <= m.limit) {
				break
			}
			a.threads = nil
			if err := m.settle(first.run); err != nil {
				return err
			}
		}
		m.order.pop()
		gone = true
	}
	if gone {
		m.grow(-m.table.sweep())
	}
	if m.order.len() > 0 {
		t = min(t, m.order.front().at)
	}
	return m.promise(t)
}

func (m *match) describe() OperatorState {
	attempts := 0
	for _, run := range m.runs {
		if run != nil {
			attempts += len(run.attempts)
		}
	}
	return m.info(m.table.live, attempts)
}
