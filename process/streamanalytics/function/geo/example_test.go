package geo_test

import (
	"fmt"

	"millrace/process/streamanalytics/function/geo"
	"millrace/process/streamanalytics/value"
)

func Example() {
	args := []value.Value{
		value.Text("POINT(-122.13292 47.63632)"),
		value.Text("POLYGON((-122.134 47.636, -122.132 47.636, -122.132 47.637, -122.134 47.637))"),
	}
	for _, f := range geo.Functions() {
		if f.MaxArgs != 2 || f.Name == "CreatePoint" {
			continue
		}
		call, err := f.Compile(geo.Call{Level: value.Level12})
		if err != nil {
			fmt.Println(err)
			continue
		}
		result, err := call(args)
		fmt.Println(f.Name, result, err)
	}
	// Output:
	// ST_DISTANCE 0.0 <nil>
	// ST_INTERSECTS 1 <nil>
	// ST_OVERLAPS 0 <nil>
	// ST_WITHIN 1 <nil>
}
