package tsql

import (
	"math"
	"math/big"
	"strings"
	"unicode"
	"unicode/utf8"

	"millrace/connector/sqldb/local/value"
)

type fn = func(v *env, a []value.Value, t []value.Type) (value.Value, error)

// builtins are the functions by name. It is filled in by builtinTable, since
// some of them compile queries of their own.
var builtins = builtinTable()

func builtinTable() map[string]builtin {
	all := make(map[string]builtin)
	for _, part := range []map[string]builtin{textFunctions(), numberFunctions(), clockFunctions(), catalogFunctions(), errorFunctions(), jsonFunctions()} {
		for name, b := range part {
			all[name] = b
		}
	}
	return all
}

func one(params []value.Type, result value.Type, f func(a value.Value) value.Value) builtin {
	return builtin{least: 1, most: 1, params: params, result: result,
		f: func(_ *env, a []value.Value, _ []value.Type) (value.Value, error) { return f(a[0]), nil }}
}

func textFunctions() map[string]builtin {
	texts := []value.Type{textMax}
	str := func(f func(string) string) builtin {
		return one(texts, textMax, func(a value.Value) value.Value { return value.FromString(f(a.Text())) })
	}
	return map[string]builtin{
		"UPPER": str(strings.ToUpper), "LOWER": str(strings.ToLower),
		"LTRIM":   str(func(s string) string { return strings.TrimLeft(s, " ") }),
		"RTRIM":   str(func(s string) string { return strings.TrimRight(s, " ") }),
		"TRIM":    str(func(s string) string { return strings.Trim(s, " ") }),
		"REVERSE": str(reversed),
		"LEN": one(texts, intType, func(a value.Value) value.Value {
			return value.FromInt(int64(value.Units(strings.TrimRight(a.Text(), " "))))
		}),
		"DATALENGTH": {least: 1, most: 1, result: intType, f: func(_ *env, a []value.Value, t []value.Type) (value.Value, error) {
			return value.FromInt(dataLength(a[0], t[0])), nil
		}},
		"LEFT": {least: 2, most: 2, params: []value.Type{textMax, intType}, result: textMax, f: func(_ *env, a []value.Value, _ []value.Type) (value.Value, error) {
			return part(a[0].Text(), 1, a[1].Int(), "left")
		}},
		"RIGHT": {least: 2, most: 2, params: []value.Type{textMax, intType}, result: textMax, f: right},
		"SUBSTRING": {least: 3, most: 3, params: []value.Type{textMax, intType, intType}, result: textMax, f: func(_ *env, a []value.Value, _ []value.Type) (value.Value, error) {
			return part(a[0].Text(), a[1].Int(), a[2].Int(), "substring")
		}},
		"REPLACE": {least: 3, most: 3, params: texts, result: textMax, f: func(_ *env, a []value.Value, _ []value.Type) (value.Value, error) {
			if a[1].Text() == "" {
				return a[0], nil
			}
			return value.FromString(strings.ReplaceAll(a[0].Text(), a[1].Text(), a[2].Text())), nil
		}},
		"REPLICATE": {least: 2, most: 2, params: []value.Type{textMax, intType}, result: textMax, f: replicate},
		"SPACE": one([]value.Type{intType}, textMax, func(a value.Value) value.Value {
			return value.FromString(strings.Repeat(" ", int(min(8000, max(0, a.Int())))))
		}),
		"CHARINDEX": {least: 2, most: 3, params: []value.Type{textMax, textMax, intType}, result: intType, f: charIndex},
		"ASCII": one(texts, intType, func(a value.Value) value.Value {
			if a.Text() == "" {
				return value.Value{}
			}
			return value.FromInt(int64(a.Text()[0]))
		}),
		"UNICODE": one(texts, intType, func(a value.Value) value.Value {
			r, n := utf8.DecodeRuneInString(a.Text())
			if n == 0 {
				return value.Value{}
			}
			return value.FromInt(int64(r))
		}),
		"CHAR":  one([]value.Type{intType}, value.Type{ID: value.VarChar, Length: 1}, func(a value.Value) value.Value { return character(a.Int(), 255) }),
		"NCHAR": one([]value.Type{intType}, value.Type{ID: value.NVarChar, Length: 2}, func(a value.Value) value.Value { return character(a.Int(), unicode.MaxRune) }),
		"QUOTENAME": {least: 1, most: 1, params: texts, result: value.Type{ID: value.NVarChar, Length: 258}, f: func(_ *env, a []value.Value, _ []value.Type) (value.Value, error) {
			return value.FromString("[" + strings.ReplaceAll(a[0].Text(), "]", "]]") + "]"), nil
		}},
		"NEWID": {result: guidType, f: newID}, "NEWSEQUENTIALID": {result: guidType, f: newID},
	}
}

func character(n, most int64) value.Value {
	if n < 0 || n > most {
		return value.Value{}
	}
	return value.FromString(string(rune(n)))
}

func reversed(s string) string {
	r := []rune(s)
	for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
		r[i], r[j] = r[j], r[i]
	}
	return string(r)
}

func dataLength(v value.Value, t value.Type) int64 {
	switch {
	case t.ID.National():
		return 2 * int64(value.Units(v.Text()))
	case t.ID.Text():
		return int64(len(value.AppendNarrow(nil, v.Text(), t.Collation)))
	case t.ID.Bytes() || t.ID == value.GUID:
		return int64(len(v.Text()))
	}
	return map[value.ID]int64{value.Bit: 1, value.TinyInt: 1, value.SmallInt: 2, value.Int: 4, value.Real: 4, value.SmallMoney: 4, value.SmallDateTime: 4, value.Date: 3}[t.ID] + 8*truthNumber(t.ID == value.BigInt || t.ID == value.Float || t.ID == value.Money || t.ID == value.DateTime || t.ID == value.DateTime2) + 5*truthNumber(t.ID == value.Time) + 10*truthNumber(t.ID == value.DateTimeOffset) + 9*truthNumber(t.ID == value.Decimal)
}

func truthNumber(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// part is SUBSTRING: from counts from 1.
func part(s string, from, count int64, name string) (value.Value, error) {
	if count < 0 {
		return value.Value{}, value.Errorf(537, "Invalid length parameter passed to the %s function.", name)
	}
	r := []rune(s)
	end := min(int64(len(r)), max(0, from-1+count))
	start := min(max(0, from-1), end)
	return value.FromString(string(r[start:end])), nil
}

func right(_ *env, a []value.Value, _ []value.Type) (value.Value, error) {
	n := int64(utf8.RuneCountInString(a[0].Text()))
	if a[1].Int() < 0 {
		return value.Value{}, value.Errorf(536, "Invalid length parameter passed to the right function.")
	}
	return part(a[0].Text(), max(1, n-a[1].Int()+1), n, "right")
}

func replicate(_ *env, a []value.Value, _ []value.Type) (value.Value, error) {
	const most = 64 << 20
	n := a[1].Int()
	switch {
	case n < 0:
		return value.Value{}, nil
	case n*int64(len(a[0].Text())) > most:
		return value.Value{}, unsupported("REPLICATE to more than %d bytes", most)
	}
	return value.FromString(strings.Repeat(a[0].Text(), int(n))), nil
}

func charIndex(_ *env, a []value.Value, _ []value.Type) (value.Value, error) {
	s, what := strings.ToLower(a[1].Text()), strings.ToLower(a[0].Text())
	skip := 0
	if len(a) > 2 && a[2].Int() > 1 {
		r := []rune(s)
		skip = int(min(int64(len(r)), a[2].Int()-1))
		s = string(r[skip:])
	}
	at := strings.Index(s, what)
	if at < 0 || what == "" {
		return value.FromInt(0), nil
	}
	return value.FromInt(int64(skip + utf8.RuneCountInString(s[:at]) + 1)), nil
}

func numberFunctions() map[string]builtin {
	float := func(f func(float64) float64) builtin {
		return builtin{least: 1, most: 1, params: []value.Type{floatType}, result: floatType, f: func(_ *env, a []value.Value, _ []value.Type) (value.Value, error) {
			out := f(a[0].Float())
			if math.IsNaN(out) || math.IsInf(out, 0) {
				return value.Value{}, value.Errorf(3623, "An invalid floating point operation occurred.")
			}
			return value.FromFloat(out), nil
		}}
	}
	round := func(f func(x *big.Rat) *big.Int) fn {
		return func(_ *env, a []value.Value, t []value.Type) (value.Value, error) { return rounded(a[0], t[0], f) }
	}
	return map[string]builtin{
		"ABS":     {least: 1, most: 1, same: 1, f: absolute},
		"CEILING": {least: 1, most: 1, same: 1, f: round(func(x *big.Rat) *big.Int { return new(big.Int).Neg(floor(new(big.Rat).Neg(x))) })},
		"FLOOR":   {least: 1, most: 1, same: 1, f: round(floor)},
		"ROUND":   {least: 2, most: 2, params: []value.Type{floatType, intType}, result: floatType, f: roundTo},
		"SQRT":    float(math.Sqrt), "LOG": float(math.Log), "LOG10": float(math.Log10), "EXP": float(math.Exp),
		"SIN": float(math.Sin), "COS": float(math.Cos), "TAN": float(math.Tan),
		"SQUARE": float(func(x float64) float64 { return x * x }),
		"POWER": {least: 2, most: 2, params: []value.Type{floatType, floatType}, result: floatType, f: func(_ *env, a []value.Value, _ []value.Type) (value.Value, error) {
			return value.FromFloat(math.Pow(a[0].Float(), a[1].Float())), nil
		}},
		"SIGN": one([]value.Type{floatType}, intType, func(a value.Value) value.Value {
			switch f := a.Float(); {
			case f < 0:
				return value.FromInt(-1)
			case f > 0:
				return value.FromInt(1)
			}
			return value.FromInt(0)
		}),
	}
}

func absolute(_ *env, a []value.Value, t []value.Type) (value.Value, error) {
	switch {
	case t[0].ID.Integer():
		if a[0].Int() < 0 {
			return value.FromInt(-a[0].Int()), nil
		}
	case t[0].ID.Approximate():
		return value.FromFloat(math.Abs(a[0].Float())), nil
	case t[0].ID.Exact():
		return value.FromUnscaled(new(big.Int).Abs(a[0].Unscaled())), nil
	}
	return a[0], nil
}

func floor(x *big.Rat) *big.Int { return new(big.Int).Div(x.Num(), x.Denom()) }

func rounded(v value.Value, t value.Type, f func(*big.Rat) *big.Int) (value.Value, error) {
	switch {
	case t.ID.Approximate():
		x := new(big.Rat).SetFloat64(v.Float())
		if x == nil {
			return v, nil
		}
		n, _ := new(big.Float).SetInt(f(x)).Float64()
		return value.FromFloat(n), nil
	case t.ID.Exact():
		return value.FromUnscaled(value.Rescale(f(ratOf(v, t)), 0, t.Scale)), nil
	}
	return v, nil
}

func roundTo(_ *env, a []value.Value, _ []value.Type) (value.Value, error) {
	n := a[1].Int()
	if n < -300 || n > 300 {
		return a[0], nil
	}
	scale := math.Pow(10, float64(n))
	f := a[0].Float() * scale
	if math.IsInf(f, 0) {
		return a[0], nil
	}
	return value.FromFloat(math.Round(f) / scale), nil
}

// errorFunctions tell of the error that a CATCH is about, and of transactions.
func errorFunctions() map[string]builtin {
	caught := func(t value.Type, f func(e *value.Error) value.Value) builtin {
		return builtin{result: t, f: func(v *env, _ []value.Value, _ []value.Type) (value.Value, error) {
			if e := v.x.sc.caught; e != nil {
				return f(e), nil
			}
			return value.Value{}, nil
		}}
	}
	return map[string]builtin{
		"ERROR_NUMBER":    caught(intType, func(e *value.Error) value.Value { return value.FromInt(int64(e.Number)) }),
		"ERROR_MESSAGE":   caught(textMax, func(e *value.Error) value.Value { return value.FromString(e.Message) }),
		"ERROR_STATE":     caught(intType, func(e *value.Error) value.Value { return value.FromInt(int64(e.State)) }),
		"ERROR_SEVERITY":  caught(intType, func(e *value.Error) value.Value { return value.FromInt(int64(e.Class)) }),
		"ERROR_LINE":      caught(intType, func(e *value.Error) value.Value { return value.FromInt(int64(e.Line)) }),
		"ERROR_PROCEDURE": caught(nameType, func(e *value.Error) value.Value { return value.FromString(e.Procedure) }),
		"XACT_STATE": {result: value.Of(value.SmallInt), f: func(v *env, _ []value.Value, _ []value.Type) (value.Value, error) {
			switch tx := v.x.s.tx; {
			case tx == nil:
				return value.FromInt(0), nil
			case tx.doomed:
				return value.FromInt(-1), nil
			}
			return value.FromInt(1), nil
		}},
		"SCOPE_IDENTITY": {result: decimalType, f: func(v *env, _ []value.Value, _ []value.Type) (value.Value, error) { return v.x.s.identity, nil }},
		"ROWCOUNT_BIG": {result: bigType, f: func(v *env, _ []value.Value, _ []value.Type) (value.Value, error) {
			return value.FromInt(v.x.s.rowCount), nil
		}},
	}
}
