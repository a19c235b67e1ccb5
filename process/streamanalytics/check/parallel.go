package check

import "millrace/process/streamanalytics/plan"

func (c *checker) parallel(job *plan.Job) plan.Parallel { return plan.Parallel{} }
