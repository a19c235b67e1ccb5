package value_test

import (
	"fmt"

	"millrace/process/streamanalytics/value"
)

// Three fields of an event; the record is not read, and passes through.
func ExampleProjection() {
	event := []byte(`{"deviceId":"d-1","data":{"a":1.50, "b":[true]},"value":20}`)
	p := value.NewProjection([]string{"DeviceId", "data", "missing"}, value.Level12)
	fields := make([]value.Value, 3)
	if err := p.Scan(event, fields); err != nil {
		fmt.Println(err)
		return
	}
	for i, v := range fields {
		fmt.Println(p.Names()[i], v.Kind(), v)
	}
	fmt.Println(fields[1].Get("b").At(0).Bool())
	// Output:
	// DeviceId nvarchar(max) "d-1"
	// data record {"a":1.50, "b":[true]}
	// missing null NULL
	// true
}

func ExampleCompare() {
	fmt.Println(value.Eq(value.Text("Start"), value.Text("start")))
	fmt.Println(value.Lt(value.Int(1), value.Double(1.5)))
	fmt.Println(value.Eq(value.Text("1"), value.Int(1)))
	// Output:
	// true
	// true
	// unknown
}
