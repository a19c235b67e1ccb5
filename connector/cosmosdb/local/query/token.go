package query

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"millrace/connector/cosmosdb/local/sql"
)

// token is what a continuation says. It holds nothing of the server's, so it
// outlives restarts, and everything is checked when it comes back.
type token struct {
	Version int `json:"v"`
	// Query is a hash of everything that the results depend on besides the
	// items: a token belongs to one query.
	Query uint64 `json:"q,string"`
	// Streaming: the read, the position behind which it resumes, and, of the
	// item at Partial, how many results were given already. Partial is empty
	// if Given counts from the beginning of all results.
	Read    int    `json:"i,omitempty"`
	After   []byte `json:"a,omitempty"`
	Partial []byte `json:"p,omitempty"`
	Given   int    `json:"n,omitempty"`
	// Selecting: the key behind which results are, or, if Skip is not 0, with
	// which the keys of Skip results that were given begin; First is how long
	// the part of ORDER BY's first key is.
	Key   []byte `json:"k,omitempty"`
	First int    `json:"f,omitempty"`
	Skip  int    `json:"s,omitempty"`
	// Offset and Limit are what is left of them; a Limit of -1 is none.
	Offset int `json:"o,omitempty"`
	Limit  int `json:"l"`
}

const (
	tokenVersion = 1
	// maxToken bounds what is read as a token, maxTokenKey what is written:
	// tokens travel in headers.
	maxToken    = 64 << 10
	maxTokenKey = 2 << 10
)

func (t token) String() string {
	text, err := json.Marshal(t)
	if err != nil { // numbers and bytes always marshal
		return ""
	}
	return string(text)
}

func errToken() error {
	return badRequest("The continuation token is malformed, or belongs to another query.")
}

// parseToken reads a token of the query with this hash; "" is the beginning.
func parseToken(text string, query uint64, s *selection) (token, error) {
	t := token{Version: tokenVersion, Query: query, Offset: s.offset, Limit: s.limit}
	if text == "" {
		return t, nil
	}
	t = token{}
	if len(text) > maxToken || json.Unmarshal([]byte(text), &t) != nil {
		return t, errToken()
	}
	if t.Limit < 0 {
		t.Limit = noLimit
	}
	if t.Version != tokenVersion || t.Query != query || t.Read < 0 || t.Given < 0 || t.Skip < 0 ||
		t.First < 0 || t.First > len(t.Key) || t.Offset < 0 || t.Offset > s.offset || t.Limit > s.limit {
		return t, errToken()
	}
	return t, nil
}

// fingerprint is the hash that tokens of the plan carry, read with a.
func (p *Plan) fingerprint(a access) uint64 {
	var b strings.Builder
	q := *p.query
	if isOrderPart(&q) {
		q.Where = nil
	}
	b.WriteString(q.String())
	names := make([]string, 0, len(p.options.Parameters))
	for name := range p.options.Parameters {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "\x00%s=%s", name, p.options.Parameters[name].AppendJSON(nil))
	}
	fmt.Fprintf(&b, "\x00%s\x00%s\x00%s\x00%d", p.options.Low, p.options.High, a.path, len(a.reads))
	return xxhash.Sum64String(b.String())
}

// isOrderPart tells whether a query is one with ORDER BY that was rewritten for
// a range. Clients that resume such a query put a condition of their own into
// its WHERE, and send it with the range's continuation.
func isOrderPart(q *sql.Query) bool {
	n := len(q.Select.Items)
	return n > 1 && q.Select.Items[n-2].Alias == "orderByItems" && q.Select.Items[n-1].Alias == "payload"
}
