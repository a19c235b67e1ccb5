package exec

import (
	"fmt"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/value"
)

// A pattern is compiled into a small program, as of a regular expression. A
// thread of it stands at a step that wants a row.
type stepKind uint8

const (
	// wantRow needs a row that fulfils the symbol.
	wantRow stepKind = iota
	// either goes on at a and, less preferred, at b.
	either
	// matched is the end.
	matched
)

type step struct {
	kind   stepKind
	symbol int
	a, b   int
}

// maxSteps bounds what a pattern may be compiled to.
const maxSteps = 10000

type patternCompiler struct {
	steps   []step
	symbols int
}

func compilePattern(p plan.Pattern, symbols int) ([]step, error) {
	c := patternCompiler{symbols: symbols}
	if err := c.add(p); err != nil {
		return nil, err
	}
	c.steps = append(c.steps, step{kind: matched})
	return c.steps, nil
}

// add compiles a pattern so that it goes on at the step behind its own ones.
func (c *patternCompiler) add(p plan.Pattern) error {
	if len(c.steps) > maxSteps {
		return fmt.Errorf("the pattern is too long")
	}
	switch p.Op {
	case plan.PatternSymbol:
		if p.Symbol < 0 || p.Symbol >= c.symbols {
			return fmt.Errorf("the pattern has an unknown symbol %d", p.Symbol)
		}
		c.steps = append(c.steps, step{kind: wantRow, symbol: p.Symbol, a: len(c.steps) + 1})
		return nil
	case plan.PatternSequence:
		for _, item := range p.Items {
			if err := c.add(item); err != nil {
				return err
			}
		}
		return nil
	case plan.PatternChoice:
		return c.choice(p.Items)
	case plan.PatternStar, plan.PatternPlus, plan.PatternOptional:
		if len(p.Items) != 1 {
			return fmt.Errorf("the pattern repeats %d items", len(p.Items))
		}
		return c.repeat(p)
	}
	return fmt.Errorf("the pattern has an unknown part %d", p.Op)
}

func (c *patternCompiler) repeat(p plan.Pattern) error {
	begin := len(c.steps)
	if p.Op != plan.PatternPlus {
		c.steps = append(c.steps, step{kind: either, a: begin + 1})
	}
	if err := c.add(p.Items[0]); err != nil {
		return err
	}
	if p.Op != plan.PatternOptional {
		end := len(c.steps)
		c.steps = append(c.steps, step{kind: either, a: begin, b: end + 1})
	}
	if p.Op != plan.PatternPlus {
		c.steps[begin].b = len(c.steps)
	}
	return nil
}

func (c *patternCompiler) choice(items []plan.Pattern) error {
	var ends []int
	for i, item := range items {
		begin := len(c.steps)
		if i < len(items)-1 {
			c.steps = append(c.steps, step{kind: either, a: begin + 1})
		}
		if err := c.add(item); err != nil {
			return err
		}
		if i < len(items)-1 {
			ends = append(ends, len(c.steps))
			c.steps = append(c.steps, step{kind: either})
			c.steps[begin].b = len(c.steps)
		}
	}
	for _, at := range ends {
		c.steps[at] = step{kind: either, a: len(c.steps), b: -1}
	}
	return nil
}

// matchView is what the expressions of a pattern see beside a row: what has
// been matched so far.
type matchView struct {
	chain *binding
	// symbol is being tried with the row; -1 in measures, where the row is the
	// last one of the match.
	symbol int
}

// binding is a row that a symbol has matched, with those before it.
type binding struct {
	row    *matchRow
	symbol int
	prev   *binding
}

type matchRow struct {
	// n numbers the rows of a key.
	n     uint64
	time  int64
	slots []value.Value
}

// symbolValue compiles a value of a row that a symbol has matched.
func (c *compiler) symbolValue(e *plan.SymbolValue) (evalFunc, error) {
	x, err := c.expr(e.X)
	if err != nil {
		return nil, err
	}
	symbol, first := e.Symbol, e.First
	var scratch row
	return func(r *row) (value.Value, error) {
		m := r.match
		if m == nil {
			return value.Value{}, nil
		}
		own := m.symbol >= 0 && (symbol == m.symbol || symbol < 0)
		if own && !first {
			return x(r)
		}
		var found *matchRow
		for b := m.chain; b != nil; b = b.prev {
			if symbol < 0 || b.symbol == symbol {
				found = b.row
				if !first {
					break
				}
			}
		}
		switch {
		case found != nil:
			scratch = row{time: found.time, slots: found.slots}
			return x(&scratch)
		case own:
			return x(r)
		}
		return value.Value{}, nil
	}, nil
}

// symbolAggregate compiles an aggregate over the rows that a symbol has matched;
// the row that is being tried is one of them.
func (c *compiler) symbolAggregate(e *plan.SymbolAggregate) (evalFunc, error) {
	call, err := c.aggregate(e.Call, false)
	if err != nil {
		return nil, err
	}
	call.last = len(call.args)
	symbol := e.Symbol
	var rows []*matchRow
	args := make([]value.Value, len(call.args))
	return func(r *row) (value.Value, error) {
		m := r.match
		if m == nil {
			return value.Value{}, nil
		}
		rows = rows[:0]
		for b := m.chain; b != nil; b = b.prev {
			if symbol < 0 || b.symbol == symbol {
				rows = append(rows, b.row)
			}
		}
		col := call.column()
		col.leave()
		if _, err := col.renew(0); err != nil {
			return value.Value{}, err
		}
		add := func(r *row) error {
			for k, f := range call.args {
				v, err := f(r)
				if err != nil {
					return err
				}
				args[k] = v
			}
			_, err := col.add(0, args, r.time)
			return err
		}
		for i := len(rows) - 1; i >= 0; i-- {
			if err := add(&row{time: rows[i].time, slots: rows[i].slots}); err != nil {
				return value.Value{}, err
			}
		}
		if m.symbol >= 0 && (symbol < 0 || symbol == m.symbol) {
			if err := add(r); err != nil {
				return value.Value{}, err
			}
		}
		return col.result(0)
	}, nil
}

// classifier compiles the list of the symbols that the rows of a match have
// matched; the row that is being tried is the last one.
func classifier(e *plan.Classifier) evalFunc {
	names := e.Names
	return func(r *row) (value.Value, error) {
		m := r.match
		if m == nil {
			return value.Value{}, nil
		}
		n := 0
		for b := m.chain; b != nil; b = b.prev {
			n++
		}
		tried := m.symbol >= 0 && m.symbol < len(names)
		out := make([]value.Value, n, n+1)
		for b := m.chain; b != nil; b = b.prev {
			n--
			if b.symbol < len(names) {
				out[n] = value.Text(names[b.symbol])
			}
		}
		if tried {
			out = append(out, value.Text(names[m.symbol]))
		}
		return value.NewArray(out), nil
	}
}
