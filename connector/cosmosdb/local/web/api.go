package web

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"millrace/connector/cosmosdb/local"
	"millrace/connector/cosmosdb/local/partition"
	"millrace/connector/cosmosdb/local/value"
)

const (
	// usualPage and maxPage are how many items or results an answer has.
	usualPage, maxPage = 50, 1000
	// maxPageBytes bounds them in bytes of JSON; one is given in any case.
	maxPageBytes = 2 << 20
)

// about answers GET /_explorer/api.
type about struct {
	Product   string `json:"product"`
	Endpoint  string `json:"endpoint"`
	KeyNeeded bool   `json:"keyNeeded"`
}

func (h *Handler) about(context.Context, *http.Request) (any, error) {
	return about{"Millrace Cosmos DB", h.server.Endpoint(), h.server.KeyNeeded()}, nil
}

// contents answers GET /_explorer/api/databases. Throttled counts what was
// refused since the server was started, in databases that are gone, too.
type contents struct {
	Databases []local.DatabaseInfo `json:"databases"`
	Requests  int64                `json:"requests"`
	Charge    float64              `json:"charge"`
	Throttled int64                `json:"throttled"`
	Failed    int64                `json:"failed"`
}

func (h *Handler) databases(context.Context, *http.Request) (any, error) {
	all, err := h.server.Contents()
	if err != nil {
		return nil, err
	}
	t := h.server.Total()
	return contents{all, t.Requests, t.Charge, t.Throttled, t.Failed}, nil
}

// containerView answers GET /_explorer/api/container.
type containerView struct {
	local.ContainerInfo
	// Settings is the container's resource, as text to show.
	Settings string `json:"settings"`
}

func (h *Handler) container(_ context.Context, r *http.Request) (any, error) {
	info, resource, err := h.server.Container(r.URL.Query().Get("database"), r.URL.Query().Get("container"))
	if err != nil {
		return nil, err
	}
	return containerView{info, indented(resource)}, nil
}

// itemView is an item of a list.
type itemView struct {
	ID string `json:"id"`
	// PartitionKey are its values, each as JSON; "" for one that the item does
	// not have.
	PartitionKey []string `json:"partitionKey"`
	// Modified is when it was written, in seconds since 1970.
	Modified float64 `json:"modified"`
	// Size is that of its JSON in bytes.
	Size int `json:"size"`
	// Text is its JSON, to show; numbers are as they were stored.
	Text string `json:"text"`
}

// itemsView answers GET /_explorer/api/items.
type itemsView struct {
	Items []itemView `json:"items"`
	// After asks for the next page; "" behind the last item.
	After string `json:"after"`
}

func (h *Handler) items(ctx context.Context, r *http.Request) (any, error) {
	q := r.URL.Query()
	count, err := pageSize(q.Get("count"))
	if err != nil {
		return nil, err
	}
	after, err := base64.RawURLEncoding.DecodeString(q.Get("after"))
	if err != nil {
		return nil, &refusal{http.StatusBadRequest, "after is not what an answer said"}
	}
	if len(after) == 0 {
		after = nil
	}
	page, err := h.server.Items(ctx, q.Get("database"), q.Get("container"), after, count, maxPageBytes)
	if err != nil {
		return nil, err
	}
	paths := make([][]string, len(page.PartitionKey))
	for i, p := range page.PartitionKey {
		if paths[i], err = partition.SplitPath(p); err != nil {
			return nil, fmt.Errorf("reading the partition key's path: %w", err)
		}
	}
	out := itemsView{Items: make([]itemView, len(page.Items)), After: base64.RawURLEncoding.EncodeToString(page.After)}
	for i, item := range page.Items {
		out.Items[i] = viewItem(item, paths)
	}
	return out, nil
}

func viewItem(item []byte, paths [][]string) itemView {
	doc := value.Trusted(item)
	v := itemView{Size: len(item), Text: indented(item), PartitionKey: make([]string, len(paths))}
	v.ID, _ = doc.Get("id").AsString()
	v.Modified, _ = doc.Get("_ts").AsNumber()
	for i, path := range paths {
		at := doc
		for _, name := range path {
			at = at.Get(name)
		}
		if !at.IsUndefined() {
			v.PartitionKey[i] = at.String()
		}
	}
	return v
}

// question is the body of POST /_explorer/api/query.
type question struct {
	Database     string `json:"database"`
	Container    string `json:"container"`
	Query        string `json:"query"`
	Count        int    `json:"count"`
	Continuation string `json:"continuation"`
}

// answerView answers POST /_explorer/api/query.
type answerView struct {
	table
	// Texts are the results' JSON, to show.
	Texts        []string `json:"texts"`
	Continuation string   `json:"continuation"`
	// Charge is what it would have taken of a client's request units; the
	// explorer's own questions are free.
	Charge       float64 `json:"charge"`
	Milliseconds float64 `json:"milliseconds"`
	ItemsRead    int     `json:"itemsRead"`
	BytesRead    int64   `json:"bytesRead"`
	// Index is the path whose index was read, "" for none.
	Index  string `json:"index"`
	Sorted bool   `json:"sorted"`
	Ranges int    `json:"ranges"`
}

func (h *Handler) query(ctx context.Context, r *http.Request) (any, error) {
	if !isJSON(r) {
		return nil, &refusal{http.StatusUnsupportedMediaType, "the content type must be application/json"}
	}
	var q question
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		return nil, &refusal{http.StatusBadRequest, "the body is not a question: " + err.Error()}
	}
	count, err := pageSize(strconv.Itoa(q.Count))
	if q.Count == 0 {
		count, err = usualPage, nil
	}
	if err != nil {
		return nil, err
	}
	began := time.Now()
	a, err := h.server.Ask(ctx, q.Database, q.Container, q.Query, q.Continuation, count, maxPageBytes)
	if err != nil {
		return nil, err
	}
	out := answerView{table: tableOf(a.Items), Texts: make([]string, len(a.Items)), Continuation: a.Continuation, Charge: a.Charge,
		Milliseconds: float64(time.Since(began).Microseconds()) / 1000, ItemsRead: a.Stats.ItemsRead, BytesRead: a.Stats.BytesRead,
		Index: a.Stats.Index, Sorted: a.Stats.Sorted, Ranges: a.Ranges}
	for i, item := range a.Items {
		out.Texts[i] = indented(item)
	}
	return out, nil
}

// pageSize reads how many items or results are wanted; "" is the usual number.
func pageSize(text string) (int, error) {
	if text == "" {
		return usualPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxPage {
		return 0, &refusal{http.StatusBadRequest, fmt.Sprintf("count must be between 1 and %d", maxPage)}
	}
	return n, nil
}
