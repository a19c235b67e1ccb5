package syntax_test

import (
	"fmt"

	"millrace/process/streamanalytics/syntax"
)

func ExampleParse() {
	text := "SELECT deviceId, COUNT(*)\nFORM telemetry\nGROUP BY deviceId, TumblingWindow(secnd, 10)"
	_, diagnostics := syntax.Parse(text)
	for _, d := range diagnostics {
		fmt.Println(d.Error())
		fmt.Println(d.Excerpt(text))
	}
	// Output:
	// line 2, column 1: expected ",", INTO or FROM, found "FORM"; did you mean FROM?
	// FORM telemetry
	// ^^^^
	// line 3, column 35: "secnd" is not a unit of time; did you mean second?
	// GROUP BY deviceId, TumblingWindow(secnd, 10)
	//                                   ^^^^^
}

func ExamplePrint() {
	script, _ := syntax.Parse("select deviceId, count(*) n /* all of them */ into counts from telemetry timestamp by createdAt group by deviceId, tumblingwindow(second, 10)")
	fmt.Print(syntax.Print(script))
	// Output:
	// SELECT
	//     deviceId,
	//     count(*) AS n /* all of them */
	// INTO counts
	// FROM telemetry TIMESTAMP BY createdAt
	// GROUP BY deviceId, TumblingWindow(second, 10);
}
