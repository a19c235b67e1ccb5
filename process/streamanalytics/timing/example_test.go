package timing_test

import (
	"fmt"

	"millrace/process/streamanalytics/timing"
)

// Counts per tumbling window of 10 seconds: windows close by the watermark.
func ExampleStream() {
	const second = timing.TicksPerSecond
	window := timing.Window{Kind: timing.Tumbling, Size: 10 * second}
	counts := map[int64]int{}
	stream, err := timing.NewStream(timing.Options[string]{
		Policy: timing.Policy{Applies: true, Late: timing.DefaultLate, OutOfOrder: 2 * second},
		Emit: func(time int64, _ string) {
			first, last, step := window.Ends(time)
			for end := first; end <= last; end += step {
				counts[end]++
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range []struct{ event, arrival int64 }{{3, 3}, {9, 10}, {11, 11}, {10, 12}, {1, 13}, {15, 15}} {
		outcome, err := stream.Push(0, nil, e.event*second, e.arrival*second, "event", 5)
		if err != nil {
			fmt.Println(err)
			return
		}
		if outcome != timing.Kept {
			fmt.Printf("event of %d at %d: %s\n", e.event, e.arrival, outcome)
		}
		if end := 10 * second; counts[end] > 0 && timing.Complete(end, stream.Watermark()) {
			fmt.Println("until 10:", counts[end])
			delete(counts, end)
		}
	}
	stream.Idle(0, 30*second)
	fmt.Println("until 20:", counts[20*second], timing.Complete(20*second, stream.Watermark()))
	// Output:
	// event of 1 at 13: time adjusted
	// until 10: 4
	// until 20: 2 true
}
