package cosmosdb

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"millrace/connector"
	"millrace/record"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

// poison is in events that the service refuses.
const poison = "poison"

// badService stands before a service and fails at operations of bulk requests,
// and at requests. Those that are let in reach the service.
type badService struct {
	// deaf goes on after a failure, whatever it was told.
	deaf bool
	mu   sync.Mutex
	rng  *rand.Rand
	// failed counts operations that were failed in passing.
	failed int
	inner  http.Handler
}

func (b *badService) dice(n int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rng.IntN(n)
}

func (b *badService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/docs") || r.Header.Get("Content-Type") == "application/query+json" {
		b.inner.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	answer := w
	switch b.dice(30) {
	case 0:
		panic(http.ErrAbortHandler)
	case 1:
		w = httptest.NewRecorder()
	case 2:
		w.Header().Set("x-ms-retry-after-ms", "2")
		w.WriteHeader([]int{http.StatusTooManyRequests, 449, http.StatusGone, http.StatusServiceUnavailable}[b.dice(4)])
		return
	}
	switch {
	case r.Header.Get(headerBatchAtomic) == "False":
		b.bulk(w, r, body)
	case bytes.Contains(body, []byte(poison)):
		w.WriteHeader(http.StatusBadRequest)
	default:
		b.forward(w, r, body)
	}
	if w != answer {
		panic(http.ErrAbortHandler) // done, and its answer is lost
	}
}

func (b *badService) forward(w http.ResponseWriter, r *http.Request, body []byte) {
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Del("Content-Length")
	b.inner.ServeHTTP(w, r)
}

// bulk fails at some operations and forwards the others.
func (b *badService) bulk(w http.ResponseWriter, r *http.Request, body []byte) {
	var ops []json.RawMessage
	if err := json.Unmarshal(body, &ops); err != nil {
		panic(err)
	}
	goOn := b.deaf || r.Header.Get(headerBatchGoOn) == "True"
	answers := make([]json.RawMessage, len(ops))
	var good []json.RawMessage
	stopped := false
	for i, op := range ops {
		status := []int{http.StatusTooManyRequests, 449, http.StatusGone, http.StatusServiceUnavailable, http.StatusRequestTimeout}[b.dice(5)]
		switch {
		case stopped:
			status = http.StatusFailedDependency
		case b.dice(25) == 0:
			b.mu.Lock()
			b.failed++
			b.mu.Unlock()
		case bytes.Contains(op, []byte(poison)):
			status = http.StatusBadRequest
		default:
			good = append(good, op)
			continue
		}
		stopped = !goOn
		answers[i] = fmt.Appendf(nil, `{"statusCode":%d,"retryAfterMilliseconds":1}`, status)
	}
	var said []json.RawMessage
	if len(good) > 0 {
		text, _ := json.Marshal(good)
		answer := httptest.NewRecorder()
		r.Header.Set(headerBatchGoOn, fmt.Sprint(goOn))
		b.forward(answer, r, text)
		if err := json.Unmarshal(answer.Body.Bytes(), &said); err != nil || len(said) != len(good) {
			panic(http.ErrAbortHandler)
		}
	}
	stopped = false
	for i := range answers {
		if answers[i] == nil {
			answers[i], said = said[0], said[1:]
		} else if stopped {
			answers[i] = json.RawMessage(`{"statusCode":424}`)
		}
		var o outcome
		o.parse(answers[i])
		stopped = stopped || !goOn && o.status/100 != 2
	}
	text, _ := json.Marshal(answers)
	w.WriteHeader(http.StatusMultiStatus)
	_, _ = w.Write(text)
}

// orderEvents are n events of random devices, each with the next number of its
// device. Some are refused, and of some there is a copy that others wrote.
func orderEvents(t *testing.T, s *Store, rng *rand.Rand, n int, next map[string]int64, absent map[record.ID]bool) []record.Result {
	t.Helper()
	results := make([]record.Result, n)
	for i := range results {
		device := fmt.Sprintf("d%d", rng.IntN(25))
		more, twin := "", false
		switch rng.IntN(60) {
		case 0:
			more = poison
		case 1:
			twin = true
		}
		text := fmt.Sprintf(`{"eventId":"%08x-0000-4000-8000-%012x","deviceId":%q,"deviceSequenceNumber":%d,"type":%q,"createdAt":"2026-01-02T03:04:05.000000Z"}`,
			rng.Uint32(), rng.Uint64()>>16, device, next[device], more)
		next[device]++
		if err := results[i].Decode([]byte(text)); err != nil {
			t.Fatal(err)
		}
		id := results[i].ID
		if absent[id] = twin || more != ""; twin {
			doc := fmt.Sprintf(`{"id":"twin-%s","eventId":"%s","deviceId":%q,"deviceSequenceNumber":0,"createdAt":"2026-01-02T03:04:05.000000Z"}`, id, id, device)
			for {
				_, err := s.container.UpsertItem(t.Context(), azcosmos.NewPartitionKeyString(device), []byte(doc), nil)
				if err == nil {
					break
				}
				if f := faultOf(err); f != passing && f != busy && f != moved {
					t.Fatal(err)
				}
			}
		}
	}
	return results
}

// persist writes as the pipeline does: all again after what passes, and without
// what is refused.
func persist(t *testing.T, s *Store, results []record.Result) {
	t.Helper()
	for {
		_, err := s.Write(t.Context(), &connector.Write{Results: results})
		var e *connector.Error
		switch {
		case err == nil:
			return
		case connector.ActionOf(err) == connector.Retry:
		case errors.As(err, &e) && e.Action == connector.Reject:
			for _, i := range slices.Backward(e.Items) {
				if !bytes.Contains(results[i].Raw, []byte(poison)) {
					t.Fatalf("%s is refused: %v", results[i].Raw, err)
				}
				results = slices.Delete(results, i, i+1)
			}
		default:
			t.Fatal(err)
		}
	}
}

// TestOrder: whatever fails in passing, and wherever, no event of a device is
// stored before an earlier one, and none is missing.
func TestOrder(t *testing.T) {
	t.Parallel()
	for name, deaf := range map[string]bool{"that stops": false, "that goes on": true} {
		t.Run("service "+name, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			bad := &badService{deaf: deaf, rng: rand.New(rand.NewPCG(seed, 1))}
			s := bulkWorldBehind(t, func(inner http.Handler) http.Handler { bad.inner = inner; return bad })
			s.cfg.MaxBatch = 40
			rng := rand.New(rand.NewPCG(seed, 2))
			next, absent := map[string]int64{}, map[record.ID]bool{}
			for range 4 {
				persist(t, s, orderEvents(t, s, rng, 150+rng.IntN(150), next, absent))
			}
			stored := map[string][]record.Stored{}
			err := s.Scan(t.Context(), func(e *record.Stored) error {
				was, known := absent[e.ID]
				switch {
				case !known:
					t.Errorf("%s was not sent", e.ID)
				case !was:
					stored[string(e.DeviceID)] = append(stored[string(e.DeviceID)], *e)
					delete(absent, e.ID)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			for id, refused := range absent {
				if !refused {
					t.Errorf("%s is missing", id)
				}
			}
			early := 0
			for _, events := range stored {
				slices.SortFunc(events, func(a, b record.Stored) int { return int(a.Sequence - b.Sequence) })
				for i := range events[1:] {
					if events[i+1].StoredAt < events[i].StoredAt {
						early++
					}
				}
			}
			if bad.failed < 10 || early > 0 {
				t.Errorf("%d events are stored before the one before them, after %d failures of operations", early, bad.failed)
			}
		})
	}
}
