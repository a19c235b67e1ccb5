package anomaly_test

import (
	"fmt"

	"millrace/process/streamanalytics/function/anomaly"
	"millrace/process/streamanalytics/value"
)

func Example() {
	detector, err := anomaly.NewSpikeAndDip(95, 120, anomaly.Both)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range 300 {
		at := int64(i) * value.TicksPerSecond
		v := float64(20 + i%7)
		if i == 200 {
			v = 90
		}
		// OVER (LIMIT DURATION(second, 120))
		detector.Expire(at - 120*value.TicksPerSecond)
		if found, _ := detector.Add(v, at); found {
			fmt.Println("second", i, "value", v)
		}
	}
	// Output:
	// second 200 value 90
}
