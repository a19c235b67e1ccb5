package web

import (
	"net/http"
	"strconv"
	"time"

	"millrace/connector/eventhubs/local/hub"
)

// listPartitions describes all partitions of a hub, as one of its groups ("":
// none) sees them.
func (q *request) listPartitions(hubName, group string) error {
	h, err := q.hubOfGroup(hubName, group)
	if err != nil {
		return err
	}
	i := h.Info()
	entries := make([]entry, 0, i.Partitions)
	for p := range i.Partitions {
		d, err := describePartition(q, h, int32(p))
		if err != nil {
			return err
		}
		id := strconv.Itoa(p)
		entries = append(entries, q.entryOf(q.r.URL.Path+"/"+id, id, i.CreatedAt, d))
	}
	return q.answerFeed("Partitions", entries)
}

func (q *request) getPartition(hubName, group, id string) error {
	h, err := q.hubOfGroup(hubName, group)
	if err != nil {
		return err
	}
	i := h.Info()
	p, err := partitionOf(i, id)
	if err != nil {
		return err
	}
	d, err := describePartition(q, h, p)
	if err != nil {
		return err
	}
	writeXML(q.w, http.StatusOK, atomEntry, q.entryOf(q.r.URL.Path, id, i.CreatedAt, d))
	return nil
}

func (q *request) hubOfGroup(hubName, group string) (*hub.Hub, error) {
	h, err := q.ns.Hub(q.ctx, hubName)
	if err != nil {
		return nil, err
	}
	if group != "" {
		if _, err := groupOf(h, group); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// partitionOf reads the id of a partition of a hub.
func partitionOf(i hub.Info, id string) (int32, error) {
	p, err := strconv.Atoi(id)
	if err != nil || p < 0 || p >= i.Partitions || strconv.Itoa(p) != id {
		return 0, notFound("hub %s has no partition %q: they are 0 to %d", i.Name, clip(id, 20), i.Partitions-1)
	}
	return int32(p), nil
}

// describePartition gives the last event's sequence number as the end, and -1
// where there is none, as the service does.
func describePartition(q *request, h *hub.Hub, p int32) (partitionDescription, error) {
	info, err := h.Partition(q.ctx, p)
	if err != nil {
		return partitionDescription{}, err
	}
	d := partitionDescription{BeginSequenceNumber: info.Begin, EndSequenceNumber: info.End - 1,
		LastEnqueuedOffset: strconv.FormatInt(info.End-1, 10), LastEnqueuedTimeUtc: time.Time{}}
	if info.End > info.Begin {
		d.LastEnqueuedTimeUtc = info.LastEnqueued.UTC()
	}
	return d, nil
}
