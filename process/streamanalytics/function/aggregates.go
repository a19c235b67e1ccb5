package function

import "millrace/process/streamanalytics/value"

func aggregates() []*Aggregate {
	any, float := value.Null, value.Float
	return []*Aggregate{
		{Name: "AVG", MinArgs: 1, MaxArgs: 1, Result: float, make: newAvg},
		{Name: "Collect", MaxArgs: 1, Event: true, Result: value.Array, make: newCollect},
		{Name: collectTop, MinArgs: 1, MaxArgs: 2, NeedsOrder: true, Event: true, Options: CountOption, Result: value.Array, make: newTop(collectTop)},
		{Name: "COUNT", MaxArgs: 1, Star: true, Distinct: true, Result: value.BigInt, make: newCount},
		{Name: "MAX", MinArgs: 1, MaxArgs: 1, Result: any, make: newExtreme("MAX", 1)},
		{Name: "MIN", MinArgs: 1, MaxArgs: 1, Result: any, make: newExtreme("MIN", -1)},
		{Name: "PERCENTILE_CONT", MinArgs: 1, MaxArgs: 1, NeedsWithinGroup: true, Options: FractionOption, Result: float,
			make: newPercentile("PERCENTILE_CONT", false)},
		{Name: "PERCENTILE_DISC", MinArgs: 1, MaxArgs: 1, NeedsWithinGroup: true, Options: FractionOption, Result: any,
			make: newPercentile("PERCENTILE_DISC", true)},
		{Name: "STDEV", MinArgs: 1, MaxArgs: 1, Result: float, make: newVariance("STDEV", true, true)},
		{Name: "STDEVP", MinArgs: 1, MaxArgs: 1, Result: float, make: newVariance("STDEVP", false, true)},
		{Name: "SUM", MinArgs: 1, MaxArgs: 1, Result: any, make: newSum},
		{Name: topOne, MaxArgs: 1, NeedsOrder: true, Event: true, Result: any, make: newTop(topOne)},
		{Name: "VAR", MinArgs: 1, MaxArgs: 1, Result: float, make: newVariance("VAR", true, false)},
		{Name: "VARP", MinArgs: 1, MaxArgs: 1, Result: float, make: newVariance("VARP", false, false)},
	}
}
