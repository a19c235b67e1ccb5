package udf_test

import (
	"fmt"

	"millrace/process/streamanalytics/udf"
	"millrace/process/streamanalytics/value"
)

func Example() {
	library, err := udf.Load(udf.Options{}, udf.File{Name: "funcs.js", Source: `
		function hex2Int(hexValue) {
			return parseInt(hexValue, 16);
		}
		function inner(event) {
			return event.a.b;
		}`})
	if err != nil {
		fmt.Println(err)
		return
	}
	runtime, err := library.NewRuntime()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, call := range []struct {
		name string
		arg  value.Value
	}{
		{"hex2Int", value.Text("1F")},
		{"inner", value.Raw([]byte(`{"a": {"b": [1, 2]}}`))},
		{"inner", value.Raw([]byte(`{"c": 1}`))},
		{"outer", value.Int(1)},
	} {
		f, err := runtime.Function(call.name)
		if err != nil {
			fmt.Println(err)
			continue
		}
		result, err := f.Call([]value.Value{call.arg})
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(result.Kind(), result)
	}
	// Output:
	// bigint 31
	// array [1, 2]
	// udf.inner: TypeError: Cannot read property 'b' of undefined (funcs.js:6:19)
	// udf.outer is not defined in the JavaScript files
}
