// Package anomaly holds the two detectors behind AnomalyDetection_SpikeAndDip
// and AnomalyDetection_ChangePoint. The service publishes what kind of model
// it uses and not its formulas, so numbers differ from it; what is found does
// not, by and large.
//
// # SpikeAndDip
//
// The score of a value is its p-value: how probable a value at least as
// extreme is, by a density estimated from the values before it. The estimate
// is a sum of normal kernels, one per value, whose width adapts to how dense
// the values lie there: a kernel reaches to the k-th neighbour, k being the
// root of the number of values. A value is an anomaly if its score is at most
// 1 - confidence/100. Spikes count from above, dips from below; for both, the
// score is twice the smaller side. Each value joins the history after it was
// scored, anomaly or not, so a second spike that is smaller than the first one
// may pass, as the service's documentation has it.
//
// # ChangePoint
//
// The score is an exchangeability martingale. The older part of the history is
// divided into groups of values of about the same number. As long as all
// values come from one distribution, the chance that the next one falls into a
// group is known exactly, whatever the distribution. Bettors who go by the
// latest values are paid by these odds: they neither win nor lose on average
// and hold about 1, unless values are no longer what they were; then the score
// grows exponentially. At 1 / (1 - confidence/100) a change is reported, and
// the history starts afresh with the event after it. So of two reports that
// are near each other the second is of another change.
//
// In a stream of one distribution a report comes with a probability of at most
// 1 - confidence/100 for each event; in simulations it is about that for as
// many events as the history has. A step of three standard deviations is
// reported after about eight events at a confidence of 95 with a history of 60
// and more. A history of fewer than some 20 events can not show a change with
// such confidence. A level, a spread or a shape that changes counts; so does a
// trend. A single spike does not.
//
// # History and gaps
//
// The history is bounded by a number of events and, through Expire, by a
// duration. An event that is missing is taken to be like the history, which
// leaves the estimate and the odds as they are: so a gap by itself is no
// anomaly, and one longer than the duration empties the history. Until a
// history has at least ten events (or as many as it may have) nothing is a
// spike or dip and its score is 1.
//
// # Cost
//
// With a history of n events, SpikeAndDip takes O(n) per event (one kernel
// each) and ChangePoint O(log n) on average: every n/2 events it sorts the
// history. Both hold about 24 n bytes, and allocate nothing per event once the
// history is full.
package anomaly
