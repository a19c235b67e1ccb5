package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"

	"millrace/connector/eventhubs/local/hub"
)

// Progress is how far the readers of a consumer group have come.
type Progress struct {
	// Group is the consumer group, in any case.
	Group string
	// Next is the sequence number that will be read next, by partition.
	Next map[int32]int64
}

// groupView is a consumer group in the JSON API.
type groupView struct {
	Name string `json:"name"`
	// Protocol is "amqp" for a consumer group of the hub, "kafka" for a group
	// of the Kafka protocol, which belongs to the namespace.
	Protocol string `json:"protocol"`
	// State is what the log says of a Kafka group: Stable, Empty ...
	State string `json:"state,omitempty"`
	// Lag is the number of events not yet read, of the partitions whose
	// position is known; absent if none is.
	Lag        *int64           `json:"lag,omitempty"`
	Partitions []groupPartition `json:"partitions,omitempty"`
}

type groupPartition struct {
	ID   string `json:"id"`
	Next int64  `json:"nextSequenceNumber"`
	Lag  int64  `json:"lag"`
}

// measure fills in the lag behind the ends of the partitions.
func (g *groupView) measure(next map[int32]int64, parts []partitionView) {
	var sum int64
	for p, part := range parts {
		n, known := next[int32(p)]
		if !known {
			continue
		}
		// What has been deleted by age is not waiting to be read.
		lag := max(0, part.EndSequenceNumber-max(n, part.BeginSequenceNumber))
		sum += lag
		g.Partitions = append(g.Partitions, groupPartition{ID: strconv.Itoa(p), Next: n, Lag: lag})
	}
	if len(g.Partitions) > 0 {
		g.Lag = &sum
	}
}

// groups lists the consumer groups of a hub, then the Kafka groups that read
// it. With an error the first ones are still there.
func (h *Handler) groups(ctx context.Context, ns *hub.Namespace, one *hub.Hub, parts []partitionView) ([]groupView, error) {
	info := one.Info()
	next := map[string]map[int32]int64{}
	var firstErr error
	if h.o.Progress != nil {
		known, err := h.o.Progress(ctx, ns.Name(), info.Name)
		if err != nil {
			firstErr = fmt.Errorf("reading the checkpoints of hub %s: %w", info.Name, err)
		}
		for _, p := range known {
			next[strings.ToLower(p.Group)] = p.Next
		}
	}
	views := make([]groupView, 0, len(info.Groups))
	for _, name := range info.Groups {
		g := groupView{Name: name, Protocol: "amqp"}
		g.measure(next[strings.ToLower(name)], parts)
		views = append(views, g)
	}
	kafka, err := h.kafkaGroups(ctx, ns, info.Name, parts)
	if err != nil && firstErr == nil {
		firstErr = err
	}
	return append(views, kafka...), firstErr
}

// kafkaGroups lists the Kafka groups that have committed positions of a hub.
func (h *Handler) kafkaGroups(ctx context.Context, ns *hub.Namespace, name string, parts []partitionView) ([]groupView, error) {
	adm := kadm.NewClient(h.log)
	listed, err := adm.ListGroups(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the log's groups: %w", err)
	}
	var ids []string
	for id := range listed {
		if _, ours := ns.OfKafkaGroup(id); ours {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	slices.Sort(ids)
	topic := ns.Topic(name)
	var views []groupView
	committed := adm.FetchManyOffsets(ctx, ids...)
	for _, id := range ids {
		next := map[int32]int64{}
		for p, o := range committed[id].Fetched[topic] {
			if o.Err == nil && o.At >= 0 {
				next[p] = o.At
			}
		}
		if len(next) == 0 {
			continue
		}
		public, _ := ns.OfKafkaGroup(id)
		g := groupView{Name: public, Protocol: "kafka", State: listed[id].State}
		g.measure(next, parts)
		views = append(views, g)
	}
	return views, nil
}

func (h *Handler) getGroupViews(ctx context.Context, r *http.Request) (any, error) {
	ns, one, err := h.namedHub(ctx, r)
	if err != nil {
		return nil, err
	}
	v := viewOf(one.Info())
	parts, err := v.fill(ctx, one, parallel)
	if err != nil {
		return nil, err
	}
	return h.groups(ctx, ns, one, parts)
}

func (h *Handler) putGroupView(ctx context.Context, r *http.Request) (any, error) {
	ns, err := h.named(r)
	if err != nil {
		return nil, err
	}
	hubName, group := r.PathValue("hub"), r.PathValue("group")
	if err := ns.CreateGroup(ctx, hubName, group); err != nil {
		return nil, err
	}
	h.o.Log.Info("consumer group created", "namespace", ns.Name(), "hub", hubName, "group", group)
	return groupView{Name: group, Protocol: "amqp"}, nil
}

func (h *Handler) deleteGroupView(ctx context.Context, r *http.Request) (any, error) {
	ns, err := h.named(r)
	if err != nil {
		return nil, err
	}
	hubName, group := r.PathValue("hub"), r.PathValue("group")
	if err := ns.DeleteGroup(ctx, hubName, group); err != nil {
		return nil, err
	}
	h.o.Log.Info("consumer group deleted", "namespace", ns.Name(), "hub", hubName, "group", group)
	return struct{}{}, nil
}
