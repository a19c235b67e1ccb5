package function

func aggregates() []*Aggregate { return nil }
