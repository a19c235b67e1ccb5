package verify

import "time"

// throughput computes the rates from the times of the first row of each event.
//
// A run with a schedule is judged by it: see heldRate. Without one, the rate of
// storing is over the time from the end of the warm-up to the last row, so that
// a run which ends with a long tail shows it. Stores give all rows of a batch
// one time; to keep a half-counted batch from bending the rate, the time starts
// at the last batch of the warm-up.
func (j *judge) throughput() {
	t := &j.verdict.Throughput
	t.FirstSent, t.LastSent, t.LastStored = j.firstSent, j.lastSent, j.lastStored
	if sending := t.LastSent - t.FirstSent; sending > 0 {
		t.SentPerSecond = float64(j.verdict.Events.Sent) * 1e6 / float64(sending)
	}
	if j.series == nil || t.LastStored <= t.FirstSent {
		return
	}
	run := time.Duration(t.LastStored-t.FirstSent) * time.Microsecond
	// A warm-up longer than half of the run would judge a run by its end.
	t.Warmup = min(j.in.Warmup, run/2)
	warm := t.FirstSent + t.Warmup.Microseconds()
	if t.Rate > 0 && j.verdict.Windowed == nil {
		t.StoredPerSecond = j.heldRate(warm, t.LastSent, t.LastStored)
	} else {
		t.StoredPerSecond = j.storedRate(t.FirstSent, warm, t.LastStored)
	}

	j.series.settle(run)
	t.Interval = time.Duration(j.series.width) * time.Microsecond
	end := t.LastStored
	if t.Rate > 0 {
		end = min(end, t.LastSent)
	}
	seen := false
	for i, c := range j.series.cells {
		at := j.series.origin + int64(i)*j.series.width
		v := Interval{At: at, In: c.in, Out: c.out, Warm: at >= warm}
		if c.latency != nil {
			q := c.latency.ValueAtPercentilesSlice([]float64{50, 99})
			v.P50, v.P99 = micros(q[0]), micros(q[1])
		}
		t.Intervals = append(t.Intervals, v)
		if v.Warm && at+j.series.width <= end {
			rate := float64(c.out) / t.Interval.Seconds()
			if !seen || rate < t.MinPerSecond {
				t.MinPerSecond, seen = rate, true
			}
		}
	}
	if !seen {
		t.MinPerSecond = t.StoredPerSecond
	}
}

// heldRate is the number of stored events that were due after the warm-up, per
// second of the time from there until the last of them was stored, less its
// latency of up to Input.Tail, which has its own figures. A store that falls
// behind is still storing when the sending has ended, and so has more seconds
// for the same events. So has a log that took them late, whatever the tail of
// the store: it gets the second that any run gets.
func (j *judge) heldRate(warm, lastSent, lastStored int64) float64 {
	end := max(lastSent, lastStored-j.in.Tail.Microseconds(), j.lastEnqueued-defaultTail.Microseconds())
	if end <= warm {
		return 0
	}
	stored := int64(0)
	for i := range j.events.n {
		if k, s := j.events.at(i); k.state[s]&stServed != 0 && j.events.dueAt(i) > warm {
			stored++
		}
	}
	return float64(stored) * 1e6 / float64(end-warm)
}

// storedRate is the number of events stored per second after warm.
func (j *judge) storedRate(first, warm, last int64) float64 {
	from := first
	if warm > first {
		from = warm
		batch := first
		for i := range j.events.n {
			k, s := j.events.at(i)
			if k.state[s]&stServed != 0 && k.storedAt[s] > batch && k.storedAt[s] <= warm {
				batch = k.storedAt[s]
			}
		}
		if batch > first {
			from = batch
		}
	}
	if last <= from {
		return 0
	}
	stored := int64(0)
	for i := range j.events.n {
		k, s := j.events.at(i)
		if k.state[s]&stServed != 0 && k.storedAt[s] > from {
			stored++
		}
	}
	return float64(stored) * 1e6 / float64(last-from)
}

func micros(us int64) time.Duration { return time.Duration(us) * time.Microsecond }
