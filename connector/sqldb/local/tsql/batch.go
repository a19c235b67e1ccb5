package tsql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf16"

	"github.com/sqlc-dev/teesql/ast"
	"github.com/sqlc-dev/teesql/parser"

	"millrace/connector/sqldb/local/value"
)

// source is a text with its syntax tree. It does not change.
type source struct {
	text       string
	units      []uint16 // text, if it is not ASCII
	statements []ast.Statement
}

// slice returns the text of a part of the tree.
func (s *source) slice(f *ast.Fragment) string {
	if !f.HasSpan() {
		return ""
	}
	from, to := f.StartOffset, f.EndOffset()
	if s.units != nil {
		if from < 0 || to > len(s.units) || from > to {
			return ""
		}
		return string(utf16.Decode(s.units[from:to]))
	}
	if from < 0 || to > len(s.text) || from > to {
		return ""
	}
	return s.text[from:to]
}

// parseCache keeps the trees of texts that come again and again.
type parseCache struct {
	mu    sync.Mutex
	trees map[string]*source
}

const (
	cachedTexts = 256
	cachedBytes = 64 << 10 // longer texts are not kept
	maxText     = 16 << 20
)

func (c *parseCache) parse(text string) (*source, *value.Error) {
	c.mu.Lock()
	known := c.trees[text]
	c.mu.Unlock()
	if known != nil {
		return known, nil
	}
	s, err := parse(text)
	if err != nil {
		return nil, err
	}
	if len(text) <= cachedBytes {
		c.mu.Lock()
		if c.trees == nil || len(c.trees) >= cachedTexts {
			c.trees = make(map[string]*source)
		}
		c.trees[text] = s
		c.mu.Unlock()
	}
	return s, nil
}

func parse(text string) (s *source, failed *value.Error) {
	defer func() {
		if p := recover(); p != nil {
			s, failed = nil, syntaxError(fmt.Errorf("%v", p))
		}
	}()
	if len(text) > maxText {
		return nil, unsupported("a text of %d bytes", len(text))
	}
	script, err := parser.Parse(context.Background(), strings.NewReader(text))
	if err != nil {
		// Once more with names that the parser takes for keywords.
		again := bracketed(text)
		if script, _ = parser.Parse(context.Background(), strings.NewReader(again)); script == nil {
			return nil, syntaxError(err)
		}
		text = again
	}
	s = &source{text: text}
	for i := range len(text) {
		if text[i] >= 0x80 {
			s.units = utf16.Encode([]rune(text))
			break
		}
	}
	if len(script.Batches) > 1 {
		return nil, syntaxError(errors.New("GO separates batches in tools and is no statement"))
	}
	for _, b := range script.Batches {
		s.statements = append(s.statements, b.Statements...)
	}
	return s, alone(s.statements)
}

// alone checks the statements that must be the first of a batch.
func alone(list []ast.Statement) *value.Error {
	for i, st := range list {
		name := ""
		switch st.(type) {
		case *ast.CreateSchemaStatement:
			name = "CREATE SCHEMA"
		case *ast.CreateViewStatement, *ast.CreateOrAlterViewStatement, *ast.AlterViewStatement:
			name = "CREATE VIEW"
		case *ast.CreateProcedureStatement, *ast.CreateOrAlterProcedureStatement:
			name = "CREATE/ALTER PROCEDURE"
		}
		if name != "" && i > 0 {
			e := value.Errorf(111, "'%s' must be the first statement in a query batch.", name)
			e.Class = 15
			return e
		}
	}
	return nil
}

// scope holds the variables of a batch or of a procedure's call.
type scope struct {
	src       *source
	variables map[string]*variable
	procedure string
	nested    int
	// temporary tables of a procedure go with it; those of a batch stay.
	outermost bool
	temp      []string
	caught    *value.Error // the error that a CATCH is about
	status    int32        // of RETURN
}

type variable struct {
	typ   value.Type
	val   value.Value
	table *table
}

// execution runs statements for one request.
type execution struct {
	ctx context.Context
	s   *Session
	out Sink
	sc  *scope
	try int // how many TRY blocks are around
	// clock is the time at which the statement began, once it has asked.
	clock time.Time
	// unlocked says that no lock is held: reads and writes ask for one.
	unlocked bool
	// subqueries counts those of the statement that is being compiled.
	subqueries int
}

// now is the same for all of a statement.
func (x *execution) now() time.Time {
	if x.clock.IsZero() {
		x.clock = x.s.engine.now()
	}
	return x.clock
}

// Batch runs a text. What goes wrong with it goes to out.
func (s *Session) Batch(ctx context.Context, text string, out Sink) error {
	src, failed := s.engine.parse.parse(text)
	if failed != nil { // XACT_ABORT is for what happens when statements run
		return s.report(failed, out)
	}
	x := &execution{ctx: ctx, s: s, out: out, sc: &scope{src: src, variables: map[string]*variable{}, outermost: true}}
	_, err := x.list(src.statements)
	if errors.Is(err, errEnd) {
		err = nil
	}
	return err
}

// flow says where to go on after a statement.
type flow int

const (
	flowNext flow = iota
	flowBreak
	flowContinue
	flowReturn
)

// list runs statements one after the other.
func (x *execution) list(list []ast.Statement) (flow, error) {
	for _, st := range list {
		if err := x.ctx.Err(); err != nil {
			return flowNext, err
		}
		f, err := x.one(st)
		if err != nil || f != flowNext {
			return f, err
		}
	}
	return flowNext, nil
}

// one runs a statement and, outside of TRY, deals with its error.
func (x *execution) one(st ast.Statement) (flow, error) {
	x.clock = time.Time{}
	f, err := x.safe(st)
	if err == nil || errors.Is(err, errEnd) {
		return f, err
	}
	err = at(err, st, x.sc)
	if x.try > 0 {
		return flowNext, err
	}
	if err := x.failed(err, st); err != nil {
		return flowNext, err
	}
	return flowNext, nil
}

// safe runs a statement whose tree may have holes.
func (x *execution) safe(st ast.Statement) (f flow, err error) {
	defer recovered(&err)
	return x.statement(st)
}
