package function

import "millrace/process/streamanalytics/function/geo"

// geoFunctions are the geospatial functions, which have a package of their own.
func geoFunctions() []*Scalar {
	var all []*Scalar
	for _, f := range geo.Functions() {
		all = append(all, &Scalar{Name: f.Name, MinArgs: f.MinArgs, MaxArgs: f.MaxArgs, Params: f.Params, Result: f.Result,
			compile: func(c Call) (Func, error) {
				made, err := f.Compile(geo.Call{Level: c.Level, Consts: c.Consts, Known: c.Known})
				return Func(made), err
			}})
	}
	return all
}
