package timing

// StartMode says from which time on a job produces output.
type StartMode uint8

// The modes.
const (
	// StartNow starts with the time the job is started at.
	StartNow StartMode = iota
	// StartCustom starts with a time that the user gives.
	StartCustom
	// StartLastOutput goes on from the time of the last output, the earliest
	// one if partitions differ. Rows of exactly that time are produced again,
	// because the end may have come in between two of them.
	StartLastOutput
)

// FirstOutput is the earliest time of an output row in the given mode: of now,
// custom and last output time the one that the mode names. A job that never
// produced output has the last output time [Never] and starts now.
func FirstOutput(mode StartMode, now, custom, last int64) int64 {
	switch {
	case mode == StartCustom:
		return custom
	case mode == StartLastOutput && last != Never:
		return last
	}
	return now
}

// ReadFrom is the arrival time from which on the input must be read so that all
// output from the time first on is complete, where an output row at time t depends
// on events from t-lookback to t. lookback is the largest [Window.Lookback], LIMIT
// DURATION or range of a join on the way from the input to an output; where such
// steps follow each other theirs add up.
//
// The broker knows arrival times only. An event is at most [Early] ahead of its
// arrival, so what arrived before has an earlier time, whatever the late policy
// made of it, and does not move a watermark beyond what is needed. Without arrival
// times everything must be read: the result is [Never].
func ReadFrom(p Policy, first, lookback int64) int64 {
	from := minus(first, max(lookback, 0))
	switch {
	case !p.Applies:
		return from
	case p.NoArrival:
		return Never
	}
	return minus(from, Early)
}

// EstimatedArrival is the arrival time of an event that would arrive now: that of
// the last one and the time that has passed since it was seen.
func EstimatedArrival(last, elapsed int64) int64 { return plus(last, max(elapsed, 0)) }
