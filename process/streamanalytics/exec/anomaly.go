package exec

import (
	"errors"

	"millrace/process/streamanalytics/plan"
)

// anomaly compiles SpikeAndDip and ChangePoint.
func (c *compiler) anomaly(p *plan.AnalyticCall, when condFunc) (analyticCall, error) {
	return nil, placed(p.Pos, errors.New("anomaly detection is not part of this build"))
}
