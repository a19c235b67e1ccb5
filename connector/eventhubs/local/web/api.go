package web

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"millrace/connector"
	"millrace/connector/eventhubs/local/hub"
)

// maxAPIBody bounds the body of a request to the JSON API: one event, at most
// a third longer as base64.
const maxAPIBody = maxPublish*3/2 + 64<<10

// parallel is how many questions to the log one request asks at once.
const parallel = 16

// apiError is the answer to what is refused.
type apiError struct {
	Error apiErrorText `json:"error"`
}

type apiErrorText struct {
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// overview answers GET /api.
type overview struct {
	Product string `json:"product"`
	// Namespace is the one that this address belongs to.
	Namespace  string              `json:"namespace"`
	KeyNeeded  bool                `json:"keyNeeded"`
	Namespaces []namespaceOverview `json:"namespaces"`
}

type namespaceOverview struct {
	Name            string    `json:"name"`
	Default         bool      `json:"default"`
	ThroughputUnits int       `json:"throughputUnits"`
	Endpoints       Endpoints `json:"endpoints"`
	Traffic         traffic   `json:"traffic"`
}

// traffic counts what went through a namespace since its start.
type traffic struct {
	IncomingEvents    int64 `json:"incomingEvents"`
	IncomingBytes     int64 `json:"incomingBytes"`
	OutgoingEvents    int64 `json:"outgoingEvents"`
	OutgoingBytes     int64 `json:"outgoingBytes"`
	ThrottledEvents   int64 `json:"throttledEvents"`
	ThrottledRequests int64 `json:"throttledRequests"`
}

// hubView is a hub in the JSON API.
type hubView struct {
	Name               string              `json:"name"`
	Namespace          string              `json:"namespace"`
	PartitionCount     int                 `json:"partitionCount"`
	CreatedAt          time.Time           `json:"createdAt,omitzero"`
	RetentionInHours   float64             `json:"retentionInHours"`
	ConsumerGroups     []string            `json:"consumerGroups"`
	CaptureDescription *CaptureDescription `json:"captureDescription,omitempty"`
	// Events is how many are retained.
	Events           int64     `json:"events"`
	EventsPerSecond  float64   `json:"eventsPerSecond"`
	LastEnqueuedTime time.Time `json:"lastEnqueuedTime,omitzero"`
	// Partitions and Groups are there when one hub is asked for.
	Partitions []partitionView `json:"partitions,omitempty"`
	Groups     []groupView     `json:"groups,omitempty"`
	// Warning says what could not be found out.
	Warning string `json:"warning,omitempty"`
}

type partitionView struct {
	ID                  string    `json:"id"`
	BeginSequenceNumber int64     `json:"beginSequenceNumber"`
	EndSequenceNumber   int64     `json:"endSequenceNumber"` // of the next event
	LastEnqueuedTime    time.Time `json:"lastEnqueuedTime,omitzero"`
	EventsPerSecond     float64   `json:"eventsPerSecond"`
}

// routes are those of the JSON API.
func (h *Handler) routes() *http.ServeMux {
	mux := http.NewServeMux()
	handle := func(pattern string, fn func(ctx context.Context, r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
			defer cancel()
			v, err := fn(ctx, r)
			h.answer(w, r, v, err)
		})
	}
	handle("GET /api/{$}", h.getOverview)
	handle("GET /api", h.getOverview)
	const one = "/api/namespaces/{namespace}/hubs/{hub}"
	handle("GET /api/namespaces/{namespace}/hubs", h.getHubs)
	handle("GET "+one, h.getHubView)
	handle("PUT "+one, h.putHubView)
	handle("DELETE "+one, h.deleteHubView)
	handle("GET "+one+"/consumergroups", h.getGroupViews)
	handle("PUT "+one+"/consumergroups/{group}", h.putGroupView)
	handle("DELETE "+one+"/consumergroups/{group}", h.deleteGroupView)
	handle("GET "+one+"/events", h.getEvents)
	handle("POST "+one+"/events", h.postEvent)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		h.answer(w, r, nil, notFound("there is no %s %s here", clip(r.Method, 20), clip(r.URL.Path, 100)))
	})
	return mux
}

// api answers the JSON API. What changes something must be JSON, which forms
// of other sites cannot send.
func (h *Handler) api(w http.ResponseWriter, r *http.Request) {
	// That a key is needed is told to everybody, so that the page can ask.
	if r.URL.Path != "/api" && r.URL.Path != "/api/" {
		if err := h.allowed(r); err != nil {
			h.answer(w, r, nil, &refusal{http.StatusUnauthorized, err.Error()})
			return
		}
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if mediaType != "application/json" {
			h.answer(w, r, nil, &refusal{http.StatusUnsupportedMediaType, "the content type must be application/json"})
			return
		}
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxAPIBody)
	h.mux.ServeHTTP(w, r)
}

// answer writes a value or an error as JSON.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, v any, err error) {
	status := http.StatusOK
	if err != nil {
		status = statusOf(err)
		var throttled *busy
		if errors.As(err, &throttled) {
			status = http.StatusServiceUnavailable
			w.Header().Set("Retry-After", strconv.Itoa(throttled.seconds))
		}
		h.failed(r, status, err)
		text := apiErrorText{Message: err.Error()}
		var hinted *connector.Hinted
		if errors.As(err, &hinted) {
			text.Hint = hinted.Hint
		}
		v = apiError{text}
	}
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// readJSON reads the body of a request; an empty one leaves v as it is.
func readJSON(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil && d.More() {
		err = errors.New("there is more than one value")
	}
	if err != nil && r.ContentLength != 0 {
		return invalid("the body is not what it should be: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

func (h *Handler) getOverview(_ context.Context, r *http.Request) (any, error) {
	o := overview{Product: "Millrace Event Hubs", Namespace: h.namespace(r).Name(), KeyNeeded: h.o.Key != "", Namespaces: []namespaceOverview{}}
	for i, ns := range h.o.Cluster.Namespaces() {
		c := ns.Quota().Counts()
		v := namespaceOverview{Name: ns.Name(), Default: i == 0, ThroughputUnits: ns.Quota().Units(),
			Traffic: traffic{c.AcceptedEvents, c.AcceptedBytes, c.SentEvents, c.SentBytes, c.ThrottledEvents, c.ThrottledRequests}}
		if h.o.Endpoints != nil {
			v.Endpoints = h.o.Endpoints(ns.Name())
		}
		o.Namespaces = append(o.Namespaces, v)
	}
	return o, nil
}

// named finds the namespace of a path.
func (h *Handler) named(r *http.Request) (*hub.Namespace, error) {
	name := r.PathValue("namespace")
	ns, ok := h.o.Cluster.Namespace(name)
	if !ok {
		return nil, notFound("there is no namespace %q", clip(name, 60))
	}
	return ns, nil
}

// namedHub finds the hub of a path.
func (h *Handler) namedHub(ctx context.Context, r *http.Request) (*hub.Namespace, *hub.Hub, error) {
	ns, err := h.named(r)
	if err != nil {
		return nil, nil, err
	}
	one, err := ns.Hub(ctx, r.PathValue("hub"))
	return ns, one, err
}

func (h *Handler) getHubs(ctx context.Context, r *http.Request) (any, error) {
	ns, err := h.named(r)
	if err != nil {
		return nil, err
	}
	hubs, err := ns.Hubs(ctx)
	if err != nil {
		return nil, err
	}
	views := make([]hubView, len(hubs))
	var g errgroup.Group
	g.SetLimit(parallel)
	for i, one := range hubs {
		g.Go(func() error {
			views[i] = viewOf(one.Info())
			if _, err := views[i].fill(ctx, one, 1); err != nil {
				// One hub in trouble does not hide the others.
				views[i].Warning = err.Error()
			}
			return nil
		})
	}
	return views, g.Wait()
}

func viewOf(i hub.Info) hubView {
	return hubView{Name: i.Name, Namespace: i.Namespace, PartitionCount: i.Partitions, CreatedAt: i.CreatedAt.UTC(),
		RetentionInHours: i.Retention.Hours(), ConsumerGroups: i.Groups, CaptureDescription: describeCapture(i.Capture)}
}

// rateWindow is what rates are measured over.
const rateWindow = 10 * time.Second

// fill asks the log about the partitions of a hub, so many at once, and returns
// what it says.
func (v *hubView) fill(ctx context.Context, one *hub.Hub, atOnce int) ([]partitionView, error) {
	parts := make([]partitionView, v.PartitionCount)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for p := range parts {
		g.Go(func() error {
			info, err := one.Partition(ctx, int32(p))
			if err != nil {
				return err
			}
			parts[p] = partitionView{ID: strconv.Itoa(p), BeginSequenceNumber: info.Begin, EndSequenceNumber: info.End}
			if info.End == info.Begin {
				return nil
			}
			parts[p].LastEnqueuedTime = info.LastEnqueued.UTC()
			// What came lately is counted by the log's own index of time, so
			// that nobody has to keep an eye on it.
			if now := time.Now(); now.Sub(info.LastEnqueued) < rateWindow {
				since, err := one.SequenceAt(ctx, int32(p), now.Add(-rateWindow))
				if err != nil {
					return err
				}
				parts[p].EventsPerSecond = float64(max(0, info.End-since)) / rateWindow.Seconds()
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, p := range parts {
		v.Events += p.EndSequenceNumber - p.BeginSequenceNumber
		v.EventsPerSecond += p.EventsPerSecond
		if p.LastEnqueuedTime.After(v.LastEnqueuedTime) {
			v.LastEnqueuedTime = p.LastEnqueuedTime
		}
	}
	return parts, nil
}

func (h *Handler) getHubView(ctx context.Context, r *http.Request) (any, error) {
	ns, one, err := h.namedHub(ctx, r)
	if err != nil {
		return nil, err
	}
	v := viewOf(one.Info())
	if v.Partitions, err = v.fill(ctx, one, parallel); err != nil {
		return nil, err
	}
	if v.Groups, err = h.groups(ctx, ns, one, v.Partitions); err != nil {
		// The events are worth seeing without the groups' lag.
		v.Warning = err.Error()
	}
	return v, nil
}

// wantedHub is the body of PUT for a hub.
type wantedHub struct {
	PartitionCount     int                 `json:"partitionCount"`
	RetentionInHours   float64             `json:"retentionInHours"`
	ConsumerGroups     []string            `json:"consumerGroups"`
	CaptureDescription *CaptureDescription `json:"captureDescription"`
}

// putHubView creates a hub, or changes retention and Capture of one.
func (h *Handler) putHubView(ctx context.Context, r *http.Request) (any, error) {
	ns, err := h.named(r)
	if err != nil {
		return nil, err
	}
	var want wantedHub
	if err := readJSON(r, &want); err != nil {
		return nil, err
	}
	if want.PartitionCount < 0 || want.RetentionInHours < 0 || want.RetentionInHours > 24*90 {
		return nil, invalid("partitionCount cannot be negative, retentionInHours is 0 (the default) to 2160")
	}
	spec := hub.Spec{Name: r.PathValue("hub"), Partitions: want.PartitionCount, Groups: want.ConsumerGroups,
		Retention: time.Duration(want.RetentionInHours * float64(time.Hour))}
	if want.CaptureDescription != nil {
		if spec.Capture, err = want.CaptureDescription.Spec(); err != nil {
			return nil, err
		}
		if spec.Capture.Enabled && h.o.NoCapture {
			return nil, invalid("hubs cannot be captured here: there is no storage")
		}
	}
	made, err := ns.CreateHub(ctx, spec)
	if errors.Is(err, hub.ErrExists) && r.URL.Query().Get("update") == "true" {
		if spec.Capture == nil {
			old, err := ns.Hub(ctx, spec.Name)
			if err != nil {
				return nil, err
			}
			spec.Capture = old.Info().Capture
		}
		made, err = ns.UpdateHub(ctx, spec)
	}
	if err != nil {
		return nil, err
	}
	h.o.Log.Info("event hub created or changed", "namespace", ns.Name(), "hub", spec.Name)
	return viewOf(made.Info()), nil
}

func (h *Handler) deleteHubView(ctx context.Context, r *http.Request) (any, error) {
	ns, err := h.named(r)
	if err != nil {
		return nil, err
	}
	name := r.PathValue("hub")
	if err := ns.DeleteHub(ctx, name); err != nil {
		return nil, err
	}
	h.o.Log.Info("event hub deleted", "namespace", ns.Name(), "hub", name)
	return struct{}{}, nil
}
