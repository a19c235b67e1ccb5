package plan

import (
	"fmt"
	"strings"

	"millrace/process/streamanalytics/timing"
	"millrace/process/streamanalytics/value"
)

// String writes the whole plan, one line per operator with its slots as $0,
// $1 and so on: for tests and for people who look for a fault.
func (j *Job) String() string {
	var b strings.Builder
	for _, n := range j.Nodes {
		h := n.Head()
		fmt.Fprintf(&b, "%d %s", h.ID, describe(n))
		for i, in := range h.Inputs {
			if i == 0 {
				b.WriteString(" <-")
			}
			fmt.Fprintf(&b, " %d", in.Head().ID)
		}
		fmt.Fprintf(&b, " [%s, %d slots]\n", h.Step, h.Width)
	}
	return b.String()
}

func slotText(s *Slot) string { return fmt.Sprintf("$%d", s.Index) }

// Text writes an expression with its slots as $0, $1 and so on.
func Text(x Expr) string { return ExprText(x, slotText) }

func texts(list []Expr) string {
	t := text{slot: slotText}
	t.list(list)
	return t.b.String()
}

func columnTexts(list []Column) string {
	t := text{slot: slotText}
	t.columns(list)
	return t.b.String()
}

func describe(n Node) string {
	switch n := n.(type) {
	case *Source:
		return "source " + n.text()
	case *Filter:
		return "filter " + CondText(n.Cond, slotText)
	case *Project:
		return "project " + columnTexts(n.Columns)
	case *Analytic:
		var calls []string
		for _, c := range n.Calls {
			calls = append(calls, c.Text(slotText))
		}
		return "analytic " + strings.Join(calls, "; ")
	case *Aggregate:
		return n.text()
	case *Join:
		return fmt.Sprintf("%s low %s high %s keys (%s)=(%s) on %s", joinWord(n.Kind), Span(n.Low), Span(n.High), texts(n.LeftKeys), texts(n.RightKeys), CondText(n.On, slotText))
	case *ReferenceJoin:
		on := ""
		if n.On != nil {
			on = " on " + CondText(n.On, slotText)
		}
		return fmt.Sprintf("reference %s with %s keys (%s)=(%s)%s", joinWord(n.Kind), n.Ref.text(), texts(n.LeftKeys), texts(n.RightKeys), on)
	case *Apply:
		word, of := "cross apply", "properties"
		if n.Outer {
			word = "outer apply"
		}
		if n.Elements {
			of = "elements"
		}
		return fmt.Sprintf("%s %s of %s", word, of, Text(n.Over))
	case *Union:
		return "union"
	case *Match:
		return n.text()
	case *Sink:
		return fmt.Sprintf("sink %s: %s", n.Output.Name, columnTexts(n.Columns))
	}
	return fmt.Sprintf("%T", n)
}

func joinWord(k JoinKind) string { return [...]string{"join", "left join", "cross join"}[k] }

func (s *Source) text() string {
	t := s.Input.Name + " (" + strings.Join(s.Fields, ", ") + ")"
	if s.Payload >= 0 {
		t += fmt.Sprintf(" payload $%d", s.Payload)
	}
	for _, m := range s.Meta {
		name := [...]string{"EventEnqueuedUtcTime", "EventProcessedUtcTime", "PartitionId", "offset", "property " + m.Name}[m.Kind]
		t += fmt.Sprintf(" %s $%d", name, m.Slot)
	}
	if s.TimestampBy != nil {
		t += " timestamp by " + Text(s.TimestampBy)
	}
	if len(s.Over) > 0 {
		t += " over " + texts(s.Over)
	}
	return t
}

// Text writes the call for people, with slots as slot names them.
func (c *AnalyticCall) Text(slot func(*Slot) string) string {
	texts := func(list []Expr) string {
		t := text{slot: slot}
		t.list(list)
		return t.b.String()
	}
	t := [...]string{"LAG", "LAST", "ISFIRST", "", "SpikeAndDip", "ChangePoint"}[c.Kind] + "(" + texts(c.Args) + ")"
	switch c.Kind {
	case Lag:
		t += fmt.Sprintf(" offset %d", c.Offset)
	case IsFirst:
		t += " every " + Span(c.Every)
	case Running:
		t = c.Aggregate.Text(slot)
	case Last, SpikeAndDip, ChangePoint:
	}
	if c.Default != nil {
		t += " default " + ExprText(c.Default, slot)
	}
	if len(c.PartitionBy) > 0 {
		t += " by " + texts(c.PartitionBy)
	}
	if c.Limit > 0 {
		t += " limit " + Span(c.Limit)
	}
	if c.When != nil {
		t += " when " + CondText(c.When, slot)
	}
	return t
}

func (a *Aggregate) text() string {
	var windows, calls []string
	for _, w := range a.Windows {
		windows = append(windows, w.Text(slotText))
	}
	for _, c := range a.Calls {
		calls = append(calls, c.Text(slotText))
	}
	return fmt.Sprintf("aggregate %s by (%s): %s", strings.Join(windows, " + "), texts(a.Keys), strings.Join(calls, "; "))
}

// Text writes the window for people, with slots as slot names them.
func (w Window) Text(slot func(*Slot) string) string {
	s := w.Spec
	t := s.Kind.String()
	switch s.Kind {
	case timing.Tumbling, timing.Sliding:
		t += " " + Span(s.Size)
	case timing.Hopping:
		t += " " + Span(s.Size) + " every " + Span(s.Hop)
	case timing.Session:
		t += " timeout " + Span(s.Timeout) + " at most " + Span(s.MaxDuration)
	case timing.Snapshot:
	}
	if s.Offset != 0 {
		t += " offset " + Span(s.Offset)
	}
	if len(w.PartitionBy) > 0 {
		keys := text{slot: slot}
		keys.list(w.PartitionBy)
		t += " by " + keys.b.String()
	}
	if w.ID != nil {
		t += " '" + *w.ID + "'"
	}
	return t
}

func (m *Match) text() string {
	t := fmt.Sprintf("match %s limit %s by (%s)", m.Pattern.text(), Span(m.Limit), texts(m.PartitionBy))
	for i, s := range m.Symbols {
		if s.Cond != nil {
			t += fmt.Sprintf(" symbol %d %s: %s;", i, s.Name, CondText(s.Cond, slotText))
		} else {
			t += fmt.Sprintf(" symbol %d %s;", i, s.Name)
		}
	}
	return t + " measures " + columnTexts(m.Measures)
}

func (p Pattern) text() string {
	var items []string
	for _, q := range p.Items {
		items = append(items, q.text())
	}
	switch p.Op {
	case PatternSymbol:
		return fmt.Sprint(p.Symbol)
	case PatternSequence:
		return "(" + strings.Join(items, " ") + ")"
	case PatternChoice:
		return "(" + strings.Join(items, " | ") + ")"
	case PatternStar:
		return items[0] + "*"
	case PatternPlus:
		return items[0] + "+"
	case PatternOptional:
		return items[0] + "?"
	}
	return "?"
}

// Span writes a length of time in ticks as a number of its largest whole unit.
func Span(ticks int64) string {
	for _, u := range []struct {
		name  string
		ticks int64
	}{{"day", value.TicksPerDay}, {"hour", value.TicksPerHour}, {"minute", value.TicksPerMinute}, {"second", value.TicksPerSecond}, {"millisecond", value.TicksPerMillisecond}, {"microsecond", value.TicksPerMicrosecond}} {
		if n := ticks / u.ticks; ticks%u.ticks == 0 && n != 0 {
			if n == 1 || n == -1 {
				return fmt.Sprintf("%d %s", n, u.name)
			}
			return fmt.Sprintf("%d %ss", n, u.name)
		}
	}
	return fmt.Sprintf("%d ticks", ticks)
}
