package cosmosdb

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"

	"millrace/connector"
)

// Query implements connector.Store: text is a query of Cosmos DB over the
// container, which it calls by whatever name it likes. What one partition key
// range, or the service's gateway, can answer goes to the gateway as it is; what
// needs the results of several ranges put together is run by the service's plan.
func (s *Store) Query(ctx context.Context, text string) (connector.Rows, error) {
	if strings.TrimSpace(text) == "" {
		return nil, &connector.Hinted{Err: fmt.Errorf("the query is empty"), Hint: "try: SELECT * FROM c WHERE c.type = 'CO2'"}
	}
	p := &pages{s: s, query: text}
	err := p.fetch(ctx)
	if err == nil {
		return newRows(ctx, p, s.account.log)
	}
	if faultOf(err) != unplanned {
		return nil, misread(err, text)
	}
	from, err := s.planned(ctx, text)
	if err != nil {
		return nil, misread(err, text)
	}
	return newRows(ctx, from, s.account.log)
}

// misread says where a query is wrong, if that is what the service says; other
// errors it leaves alone.
func misread(err error, query string) error {
	said, ok := strings.CutPrefix(messageOf(answerOf(err)), wrapping)
	var wrong struct {
		Errors []struct {
			Location      struct{ Start, End int }
			Code, Message string
		}
	}
	if !ok || json.Unmarshal([]byte(said), &wrong) != nil || len(wrong.Errors) == 0 {
		return err
	}
	e := wrong.Errors[0]
	// Positions count UTF-16 units.
	units := utf16.Encode([]rune(query))
	start := max(0, min(e.Location.Start, len(units)))
	at := "at its end"
	if rest := strings.Join(strings.Fields(string(utf16.Decode(units[start:]))), " "); rest != "" {
		if r := []rune(rest); len(r) > excerpt {
			rest = string(r[:excerpt]) + "..."
		}
		at = fmt.Sprintf("at character %d, before `%s`", start+1, rest)
	}
	return &plainError{fmt.Sprintf("the query is wrong %s: %s (%s)", at, strings.TrimSuffix(e.Message, "."), e.Code), err}
}

// excerpt is how many characters of a wrong query are shown.
const excerpt = 24

// pages are the results of a query over one range, or of one that the gateway
// answers over all of them.
type pages struct {
	s       *Store
	query   string
	rangeID string
	from    string
	begun   bool
	items   [][]byte
}

// fetch reads the next page that is not empty, if there is one.
func (p *pages) fetch(ctx context.Context) error {
	for len(p.items) == 0 && (!p.begun || p.from != "") {
		body, next, err := p.s.page(ctx, p.query, p.rangeID, p.from, columnSample)
		if err != nil {
			return err
		}
		p.begun, p.from = true, next
		p.items = p.items[:0]
		if err := documents(body, func(doc []byte) bool { p.items = append(p.items, doc); return true }); err != nil {
			return err
		}
	}
	return nil
}

func (p *pages) next(ctx context.Context) ([]byte, error) {
	if err := p.fetch(ctx); err != nil {
		return nil, err
	}
	if len(p.items) == 0 {
		return nil, io.EOF
	}
	item := p.items[0]
	p.items = p.items[1:]
	return item, nil
}
