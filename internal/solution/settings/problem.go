package settings

import (
	"fmt"
	"sort"
	"strings"
)

// Origin is where a value came from.
type Origin struct {
	// Text names the place: "default", "environment KAFKA_BROKERS", "--set",
	// "-t 10", or the name of a file when Line is set.
	Text string
	// Line and Column, from 1, are the place in the file; 0: unknown.
	Line, Column int
}

// Default is the origin of a value that nobody set.
var Default = Origin{Text: "default"}

// String returns "solution.yaml:12" for a place in a file, else the text.
func (o Origin) String() string {
	if o.Line > 0 {
		return fmt.Sprintf("%s:%d", o.Text, o.Line)
	}
	return o.Text
}

// full is String with the column.
func (o Origin) full() string {
	if o.Line > 0 && o.Column > 0 {
		return fmt.Sprintf("%s:%d:%d", o.Text, o.Line, o.Column)
	}
	return o.String()
}

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Origin Origin
	// Text is one sentence without the place.
	Text string
	// Hint is a second sentence: what to try. May be empty.
	Hint string
}

// Error returns "solution.yaml:12:3: text". A default has no place to show.
func (p *Problem) Error() string {
	if p.Origin == Default || p.Origin == (Origin{}) {
		return p.Text
	}
	return p.Origin.full() + ": " + p.Text
}

// Problems is everything that is wrong with a configuration, in the order of
// the file. It is a usage or configuration error for the command line.
type Problems []*Problem

// maxListed bounds how many problems are listed: past this a file is not a
// solution with mistakes but something else.
const maxListed = 40

// Error lists the problems, one on each line.
func (ps Problems) Error() string {
	var lines []string
	for i, p := range ps {
		if i == maxListed {
			lines = append(lines, fmt.Sprintf("and %d more", len(ps)-i))
			break
		}
		lines = append(lines, p.Error())
	}
	return strings.Join(lines, "\n")
}

// Err returns ps sorted by place as an error, or nil if there are none.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	sort.SliceStable(ps, func(i, j int) bool {
		a, b := ps[i].Origin, ps[j].Origin
		if a.Line == 0 || b.Line == 0 || a.Text != b.Text {
			return false
		}
		return a.Line < b.Line || a.Line == b.Line && a.Column < b.Column
	})
	return ps
}

// add notes a problem.
func (ps *Problems) add(o Origin, format string, args ...any) {
	*ps = append(*ps, &Problem{Origin: o, Text: fmt.Sprintf(format, args...)})
}
