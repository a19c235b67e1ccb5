package web

import (
	"net/http"

	"millrace/connector/eventhubs/local/hub"
)

// groupOperations are what can be done with one consumer group.
func (q *request) groupOperations(hubName, name string) map[string]func() error {
	return map[string]func() error{
		http.MethodGet:    func() error { return q.getGroup(hubName, name) },
		http.MethodPut:    func() error { return q.putGroup(hubName, name) },
		http.MethodDelete: func() error { return q.deleteGroup(hubName, name) },
	}
}

// putGroup creates a consumer group. There is nothing in one to be changed.
func (q *request) putGroup(hubName, name string) error {
	if _, err := readEntry(q.r); err != nil {
		return err
	}
	if q.r.Header.Get("If-Match") != "" {
		return q.getGroup(hubName, name)
	}
	if err := q.ns.CreateGroup(q.ctx, hubName, name); err != nil {
		return err
	}
	h, err := q.ns.Hub(q.ctx, hubName)
	if err != nil {
		return err
	}
	q.h.o.Log.Info("consumer group created", "namespace", q.ns.Name(), "hub", hubName, "group", name)
	q.answerGroup(http.StatusCreated, h.Info(), name)
	return nil
}

func (q *request) getGroup(hubName, name string) error {
	h, err := q.ns.Hub(q.ctx, hubName)
	if err != nil {
		return err
	}
	name, err = groupOf(h, name)
	if err != nil {
		return err
	}
	q.answerGroup(http.StatusOK, h.Info(), name)
	return nil
}

// groupOf is the name of a group as it was created.
func groupOf(h *hub.Hub, name string) (string, error) {
	canonical, ok := h.HasGroup(name)
	if !ok {
		return "", notFound("hub %s has no consumer group %s", h.Info().Name, clip(name, 60))
	}
	return canonical, nil
}

func (q *request) deleteGroup(hubName, name string) error {
	if err := q.ns.DeleteGroup(q.ctx, hubName, name); err != nil {
		return err
	}
	q.h.o.Log.Info("consumer group deleted", "namespace", q.ns.Name(), "hub", hubName, "group", name)
	q.w.WriteHeader(http.StatusOK)
	return nil
}

func (q *request) listGroups(hubName string) error {
	h, err := q.ns.Hub(q.ctx, hubName)
	if err != nil {
		return err
	}
	i := h.Info()
	entries := make([]entry, 0, len(i.Groups))
	for _, g := range i.Groups {
		entries = append(entries, q.entryOf("/"+i.Name+"/consumergroups/"+g, g, i.CreatedAt, describeGroup(i)))
	}
	return q.answerFeed("ConsumerGroups", entries)
}

func (q *request) answerGroup(status int, i hub.Info, name string) {
	writeXML(q.w, status, atomEntry, q.entryOf(q.r.URL.Path, name, i.CreatedAt, describeGroup(i)))
}

// describeGroup gives a group the time of its hub: nothing else is kept of it.
func describeGroup(i hub.Info) groupDescription {
	created := i.CreatedAt.UTC()
	if created.IsZero() {
		return groupDescription{}
	}
	return groupDescription{CreatedAt: &created}
}
