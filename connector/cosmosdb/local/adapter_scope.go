package local

import (
	"strconv"
	"strings"

	"millrace/connector/cosmosdb/local/partition"
)

// scope is the part of a container that a query or feed is about: one that its
// partition key, its range or its bounds name, or all of it.
type scope struct {
	partition.Range
	// ranges are the physical ranges with a part in it, in order.
	ranges []int
	// one tells that the request named one logical partition.
	one bool
}

// everything is the space of effective partition keys.
var everything = partition.Range{High: partition.End}

// scope is what the request's headers say.
func (c *call) scope() (scope, error) {
	s := scope{Range: everything}
	// Some clients write [] for no partition key.
	if c.in.hasPartitionKey && strings.TrimSpace(c.in.partitionKey) != "[]" {
		key, err := c.anyKey()
		if err != nil {
			return s, err
		}
		s.narrow(key.Range())
		s.one = key.Complete()
	}
	if c.in.readKeyType != "" && !strings.EqualFold(c.in.readKeyType, "EffectivePartitionKeyRange") {
		return s, badRequest("The value of the header x-ms-read-key-type is not EffectivePartitionKeyRange.")
	}
	if c.in.startEPK != "" || c.in.endEPK != "" {
		r := partition.Range{Low: strings.ToUpper(c.in.startEPK), High: strings.ToUpper(c.in.endEPK)}
		if r.High == "" {
			r.High = partition.End
		}
		for _, bound := range []string{r.Low, r.High} {
			if _, err := partition.ParseEPK(bound); err != nil {
				return s, badRequest("The headers x-ms-start-epk and x-ms-end-epk cannot be used: %s.", err)
			}
		}
		if r.Low > r.High {
			return s, badRequest("The range of the headers x-ms-start-epk and x-ms-end-epk ends before it begins.")
		}
		s.narrow(r)
	}
	only, limited, err := c.headerRange()
	if err != nil {
		return s, err
	}
	all := c.physical()
	if limited {
		s.narrow(all[only])
	}
	s.place(all)
	if limited && len(s.ranges) == 0 {
		s.ranges = []int{only} // nothing of it is asked for, but it must answer
	}
	return s, nil
}

// narrow leaves what r has, too.
func (s *scope) narrow(r partition.Range) {
	s.Low = max(s.Low, r.Low)
	s.High = max(min(s.High, r.High), s.Low)
}

// place finds the physical ranges with a part in the scope.
func (s *scope) place(all []partition.Range) {
	s.ranges = nil
	for i, r := range all {
		if s.Overlaps(r) {
			s.ranges = append(s.ranges, i)
		}
	}
}

// in is the part of the scope that lies in a physical range.
func (s *scope) in(r partition.Range) partition.Range {
	part := *s
	part.narrow(r)
	return part.Range
}

// headerRange is the physical range that the request names: "0", or with the
// container's rid before it, "RID,0". limited: it names one.
func (c *call) headerRange() (id int, limited bool, err error) {
	name := c.in.rangeID
	if name == "" {
		return 0, false, nil
	}
	if _, after, ok := strings.Cut(name, ","); ok {
		name = after
	}
	id, err = strconv.Atoi(strings.TrimSpace(name))
	if err != nil || id < 0 || id >= len(c.physical()) {
		return 0, false, rangeGone()
	}
	return id, true, nil
}
