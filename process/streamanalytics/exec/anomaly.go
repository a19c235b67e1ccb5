package exec

import (
	"fmt"

	"millrace/process/streamanalytics/function/anomaly"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/value"
)

// detection is AnomalyDetection_SpikeAndDip or AnomalyDetection_ChangePoint.
// Rows whose value is not a number, and those that WHEN leaves out, are not
// looked at; their result is NULL.
type detection struct {
	value     evalFunc
	when      condFunc
	limit     int64
	make      func() (anomaly.Detector, error)
	detectors []anomaly.Detector
}

// anomaly compiles SpikeAndDip and ChangePoint.
func (c *compiler) anomaly(p *plan.AnalyticCall, when condFunc) (analyticCall, error) {
	if len(p.Args) < 3 {
		return nil, placed(p.Pos, fmt.Errorf("anomaly detection takes a value, the confidence and the length of the history"))
	}
	constants := make([]value.Value, len(p.Args))
	for i, a := range p.Args[1:] {
		k, ok := a.(*plan.Const)
		if !ok {
			return nil, placed(p.Pos, fmt.Errorf("the confidence, the history and the mode of anomaly detection are constants"))
		}
		constants[i+1] = k.Value
	}
	confidence, history := constants[1].Double(), int(constants[2].Double())
	d := &detection{when: when, limit: p.Limit}
	if p.Kind == plan.ChangePoint {
		d.make = func() (anomaly.Detector, error) { return anomaly.NewChangePoint(confidence, history) }
	} else {
		mode := anomaly.Both
		if len(constants) > 3 {
			var err error
			if mode, err = anomaly.ParseMode(constants[3].Str()); err != nil {
				return nil, placed(p.Pos, err)
			}
		}
		d.make = func() (anomaly.Detector, error) { return anomaly.NewSpikeAndDip(confidence, history, mode) }
	}
	if _, err := d.make(); err != nil {
		return nil, placed(p.Pos, err)
	}
	var err error
	d.value, err = c.expr(p.Args[0])
	return d, err
}

func (d *detection) leave()     { d.detectors = append(d.detectors, nil) }
func (d *detection) drop(i int) { d.detectors[i] = nil }

func (d *detection) renew(i int) (int64, error) {
	x, err := d.make()
	if err != nil {
		return 0, err
	}
	d.detectors[i] = x
	return int64(x.Size()) + 128, nil
}

func (d *detection) take(i int, r *row) (value.Value, int64, error) {
	if d.when != nil {
		if t, err := d.when(r); err != nil || t != value.True {
			return value.Value{}, 0, err
		}
	}
	v, err := d.value(r)
	if err != nil {
		return v, 0, err
	}
	if v = value.TryCast(v, value.Float); v.IsNull() {
		return v, 0, nil
	}
	x := d.detectors[i]
	before := x.Size()
	if d.limit > 0 {
		x.Expire(minus(r.time, d.limit-1))
	}
	found, score := x.Add(v.Double(), r.time)
	return anomaly.Result(found, score), int64(x.Size() - before), nil
}

func (d *detection) appendState(dst []byte, i int) ([]byte, error) {
	return d.detectors[i].AppendState(dst), nil
}

func (d *detection) readState(i int, in *decoder) int64 {
	return in.sized(d.detectors[i])
}
