package web

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"millrace/connector/eventhubs/local/hub"
)

// servicePartitions is how many partitions the service gives a hub that is
// created over this API without a number.
const servicePartitions = 16

// hubOperations are what can be done with one hub.
func (q *request) hubOperations(name string) map[string]func() error {
	return map[string]func() error{
		http.MethodGet:    func() error { return q.getHub(name) },
		http.MethodPut:    func() error { return q.putHub(name) },
		http.MethodDelete: func() error { return q.deleteHub(name) },
	}
}

// putHub creates a hub, or with If-Match changes one.
func (q *request) putHub(name string) error {
	e, err := readEntry(q.r)
	if err != nil {
		return err
	}
	d := e.Hub
	if d == nil {
		d = &requestHub{}
	}
	if d.Status != "" && !strings.EqualFold(d.Status, "Active") {
		return invalid("Status %q is not supported here: hubs are always active", clip(d.Status, 40))
	}
	partitions, err := number("PartitionCount", d.PartitionCount, 0, 1, hub.MaxPartitions)
	if err != nil {
		return err
	}
	// Clients that serialise a description with its defaults send 0 days.
	days, err := number("MessageRetentionInDays", d.MessageRetentionInDays, 0, 0, 90)
	if err != nil {
		return err
	}
	retention := time.Duration(days) * 24 * time.Hour
	if q.r.Header.Get("If-Match") != "" {
		return q.updateHub(name, partitions, retention)
	}
	if partitions == 0 {
		partitions = servicePartitions
	}
	made, err := q.ns.CreateHub(q.ctx, hub.Spec{Name: name, Partitions: partitions, Retention: retention})
	if err != nil {
		return err
	}
	q.h.o.Log.Info("event hub created", "namespace", q.ns.Name(), "hub", name, "partitions", made.Info().Partitions)
	q.answerHub(http.StatusCreated, made.Info())
	return nil
}

// updateHub changes the retention of a hub, which is what can be changed.
func (q *request) updateHub(name string, partitions int, retention time.Duration) error {
	h, err := q.ns.Hub(q.ctx, name)
	if err != nil {
		return err
	}
	info := h.Info()
	if partitions != 0 && partitions != info.Partitions {
		return invalid("the number of partitions of hub %s cannot be changed from %d to %d", name, info.Partitions, partitions)
	}
	spec := specOf(info)
	if retention != 0 {
		spec.Retention = retention
	}
	if h, err = q.ns.UpdateHub(q.ctx, spec); err != nil {
		return err
	}
	q.answerHub(http.StatusOK, h.Info())
	return nil
}

// specOf describes a hub as it is.
func specOf(i hub.Info) hub.Spec {
	groups := slices.DeleteFunc(slices.Clone(i.Groups), func(g string) bool { return strings.EqualFold(g, hub.DefaultGroup) })
	return hub.Spec{Name: i.Name, Partitions: i.Partitions, Retention: i.Retention, Groups: groups, Capture: i.Capture}
}

func (q *request) getHub(name string) error {
	h, err := q.ns.Hub(q.ctx, name)
	if err != nil {
		return err
	}
	q.answerHub(http.StatusOK, h.Info())
	return nil
}

func (q *request) deleteHub(name string) error {
	if err := q.ns.DeleteHub(q.ctx, name); err != nil {
		return err
	}
	q.h.o.Log.Info("event hub deleted", "namespace", q.ns.Name(), "hub", name)
	q.w.WriteHeader(http.StatusOK)
	return nil
}

// listHubs answers $Resources/EventHubs, a page of it with $skip and $top.
func (q *request) listHubs() error {
	all, err := q.ns.Hubs(q.ctx)
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b *hub.Hub) int { return strings.Compare(a.Info().Name, b.Info().Name) })
	entries := make([]entry, 0, len(all))
	for _, h := range all {
		i := h.Info()
		entries = append(entries, q.entryOf("/"+i.Name, i.Name, i.CreatedAt, describeHub(i)))
	}
	return q.answerFeed("EventHubs", entries)
}

// answerHub answers with the description of one hub.
func (q *request) answerHub(status int, i hub.Info) {
	writeXML(q.w, status, atomEntry, q.entryOf(q.r.URL.Path, i.Name, i.CreatedAt, describeHub(i)))
}

func describeHub(i hub.Info) hubDescription {
	days := int64((i.Retention + 24*time.Hour - 1) / (24 * time.Hour))
	created := i.CreatedAt.UTC()
	d := hubDescription{MessageRetentionInDays: &days, AuthorizationRules: &struct{}{}, Status: "Active",
		PartitionCount: &i.Partitions, EntityAvailabilityStatus: "Available",
		PartitionIDs: &stringIDs{Space: arraySpace, IDs: make([]string, i.Partitions)}}
	if !created.IsZero() {
		d.CreatedAt = &created
	}
	for p := range d.PartitionIDs.IDs {
		d.PartitionIDs.IDs[p] = strconv.Itoa(p)
	}
	return d
}

// entryOf wraps a description.
func (q *request) entryOf(path, name string, created time.Time, description any) entry {
	at := q.address(path)
	return entry{ID: at, Title: title{"text", name}, Published: created.UTC(), Updated: created.UTC(),
		Author: &author{q.ns.Name()}, Link: link{"self", at}, Content: content{"application/xml", description}}
}

// address is the URL of a path of this endpoint, with the version asked for.
func (q *request) address(path string) string {
	scheme := "http"
	if q.r.TLS != nil {
		scheme = "https"
	}
	at := fmt.Sprintf("%s://%s%s", scheme, q.r.Host, path)
	if v := q.r.URL.Query().Get("api-version"); v != "" {
		at += "?api-version=" + v
	}
	return at
}

// answerFeed answers with a list, or the page of it that $skip and $top name.
func (q *request) answerFeed(name string, entries []entry) error {
	skip, err := number("$skip", q.r.URL.Query().Get("$skip"), 0, 0, 1<<30)
	if err != nil {
		return err
	}
	top, err := number("$top", q.r.URL.Query().Get("$top"), len(entries), 1, 1<<30)
	if err != nil {
		return err
	}
	entries = entries[min(skip, len(entries)):]
	at := q.address(q.r.URL.Path)
	writeXML(q.w, http.StatusOK, atomFeed, feed{XMLName: xml.Name{}, Title: title{"text", name}, ID: at,
		Updated: time.Now().UTC().Truncate(time.Second), Link: link{"self", at}, Entries: entries[:min(top, len(entries))]})
	return nil
}
