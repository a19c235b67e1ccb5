package exec

import (
	"fmt"
	"math"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/value"
)

// convert gives a value the type that CREATE TABLE says. NULL stays. Records,
// arrays and nvarchar(max): a record or array where text is declared is no text
// and is refused, as the service does not make JSON of it on input.
func convert(v value.Value, c conversion, level value.Level) (value.Value, error) {
	if v.IsNull() {
		return v, nil
	}
	if v.Kind() != c.kind {
		complexFrom := v.Kind() == value.Record || v.Kind() == value.Array
		complexTo := c.kind == value.Record || c.kind == value.Array
		if complexFrom || complexTo {
			return v, fmt.Errorf("column %s: a %s where CREATE TABLE has %s", c.name, v.Kind(), c.kind)
		}
		out, err := value.Cast(v, c.kind)
		if err != nil {
			return v, fmt.Errorf("column %s: %w", c.name, err)
		}
		v = out
	}
	if f := v.Double(); v.Kind() == value.Float && level != value.Level10 && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return v, fmt.Errorf("column %s: %v is not a number", c.name, f)
	}
	return v, nil
}

// convertRecord gives the members of a whole event the declared types. Members
// that are not declared are left out, declared ones that are missing are NULL.
func convertRecord(v value.Value, declared []plan.Declared, level value.Level) (value.Value, error) {
	out := make([]value.Member, len(declared))
	for i, d := range declared {
		m, err := convert(v.Get(d.Name), conversion{name: d.Name, kind: d.Kind}, level)
		if err != nil {
			return v, err
		}
		out[i] = value.Member{Name: d.Name, Value: m}
	}
	return value.NewRecord(out), nil
}
