package sqldb

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"millrace/connector"
	"millrace/record"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files instead of comparing with them")

// TestStatements pins the text of every statement: what a database is asked
// must not change unnoticed.
func TestStatements(t *testing.T) {
	n := newNames("telemetry", "events", "r1")
	all := make(map[string]statements)
	for file, fill := range map[string]any{"duckdb": duckNames{n, duckDatabase}, "postgres": n} {
		stmts, err := loadStatements(file+".sql", fill)
		if err != nil {
			t.Fatal(err)
		}
		all[file] = stmts
	}
	for file, n := range serverGoldens() {
		all[file] = serverStatements(t, n)
	}
	for file, stmts := range all {
		var b strings.Builder
		for _, name := range slices.Sorted(maps.Keys(stmts)) {
			fmt.Fprintf(&b, "== %s\n%s\n\n", name, stmts[name])
		}
		golden := filepath.Join("testdata", file+".golden")
		if *rewrite {
			if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if b.String() != string(want) {
			t.Errorf("%s differs from %s; if that is meant: go test -run Statements ./connector/sqldb -rewrite\n%s", file, golden, b.String())
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ schema, table, run, events string }{
		{"", "events", "", "events"},
		{"s", "events", "", "s.events"},
		{"", "events", "run_7", "events_run_7"},
		{"", "events", "Run 7", "events__un_7_706064eb"},
		{"", "events", "run 7", "events_run_7_caa4f34b"},
		{"", "events", strings.Repeat("a", 60), "events_aaaaaaaaaaaaaaa_92b9e111"},
	} {
		n := newNames(c.schema, c.table, c.run)
		if n.Events != c.events {
			t.Errorf("newNames(%q, %q, %q).Events = %s, want %s", c.schema, c.table, c.run, n.Events, c.events)
		}
	}
	longest := newNames("", strings.Repeat("t", 28), strings.Repeat("r", 100))
	if len(longest.Positions) > 63 {
		t.Errorf("%s has %d characters, PostgreSQL cuts names at 63", longest.Positions, len(longest.Positions))
	}
}

// TestClassifyPostgres holds the table of what PostgreSQL's errors ask for.
func TestClassifyPostgres(t *testing.T) {
	p := &postgres{where: "h:1/d"}
	server := func(code string) error { return fmt.Errorf("doing: %w", &pgconn.PgError{Code: code, Message: "m"}) }
	const refused = connector.Action(-1)
	for name, c := range map[string]struct {
		err    error
		want   connector.Action
		hinted bool
	}{
		"shut down":          {server("57P01"), connector.Retry, false},
		"starting up":        {server("57P03"), connector.Retry, false},
		"deadlock":           {server("40P01"), connector.Retry, false},
		"serialization":      {server("40001"), connector.Retry, false},
		"connections":        {server("53300"), connector.Retry, false},
		"server memory":      {server("53200"), connector.Retry, false},
		"connection failure": {server("08006"), connector.Retry, false},
		"stopped process":    {server("25P03"), connector.Retry, false},
		"disk full":          {server("53100"), connector.Fail, true},
		"password":           {server("28P01"), connector.Fail, true},
		"no database":        {server("3D000"), connector.Fail, true},
		"no right":           {server("42501"), connector.Fail, true},
		"no table":           {server("42P01"), connector.Fail, true},
		"other table":        {server("42703"), connector.Fail, true},
		"syntax":             {server("42601"), connector.Fail, false},
		"NUL in text":        {server("22021"), refused, false},
		"JSON":               {server("22P02"), refused, false},
		"time out of range":  {server("22008"), refused, false},
		"too deep":           {server("54001"), refused, false},
		"constraint":         {server("23514"), refused, false},
		"reset":              {fmt.Errorf("x: %w", syscall.ECONNRESET), connector.Retry, false},
		"closed":             {io.ErrUnexpectedEOF, connector.Retry, false},
		"cancelled":          {fmt.Errorf("x: %w", context.Canceled), connector.Fail, false},
	} {
		err := p.classify("doing", c.err)
		var r *refusedError
		var h *connector.Hinted
		got := connector.ActionOf(err)
		if errors.As(err, &r) {
			got = refused
		}
		if got != c.want || errors.As(err, &h) != c.hinted || !errors.Is(err, errors.Unwrap(c.err)) && errors.Unwrap(c.err) != nil {
			t.Errorf("%s: action %d, %v; want %d", name, got, err, c.want)
		}
	}
}

// TestUnreachablePostgres: one short sentence, with everything that the driver
// says in the chain.
func TestUnreachablePostgres(t *testing.T) {
	p := &postgres{where: "h:1/d"}
	lost := func(err error) error { return &net.OpError{Op: "read", Err: err} }
	for want, err := range map[string]error{
		"connection refused":              lost(os.NewSyscallError("connect", syscall.ECONNREFUSED)),
		"no such host h":                  &net.DNSError{Name: "h", IsNotFound: true},
		"no answer in time":               lost(os.ErrDeadlineExceeded),
		"it closed the connection":        io.ErrUnexpectedEOF,
		"the database system is starting": &pgconn.PgError{Code: "57P03", Message: "the database system is starting"},
	} {
		got := p.classify("writing", fmt.Errorf("a long story: %w", err))
		var u *connector.Unreachable
		if got.Error() != "cannot reach PostgreSQL at h:1/d: "+want || !errors.Is(got, err) || !errors.As(got, &u) || u.Hint == "" ||
			connector.ActionOf(got) != connector.Retry {
			t.Errorf("%v, want %s", got, want)
		}
	}
	cfg := NewConfig()
	cfg.URL = "postgres://u:secret@127.0.0.1:1/d"
	n := newNames("", "events", "")
	p, err := newPostgres(cfg, n, connector.Env{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	err = p.prepare(t.Context())
	var connect *pgconn.ConnectError
	if err == nil || err.Error() != "cannot reach PostgreSQL at 127.0.0.1:1/d: connection refused" || !errors.As(err, &connect) {
		t.Errorf("got %v", err)
	}
}

// FuzzCopyReader checks that whatever is sent, and in whatever pieces it is
// read, is the one stream that its rows make.
func FuzzCopyReader(f *testing.F) {
	f.Add([]byte("device"), []byte(`{"a":1}`), int64(1_767_366_245_123_456), 1.5, 3, uint16(7))
	f.Add([]byte{}, []byte(nil), int64(math.MinInt64), math.Inf(1), 0, uint16(1))
	f.Add([]byte("\x00"), []byte(strings.Repeat("x", 70_000)), int64(math.MaxInt64), math.Copysign(0, -1), 5, uint16(40_000))
	f.Fuzz(func(t *testing.T, device, complexData []byte, at int64, value float64, n int, piece uint16) {
		n = min(max(n, 0), 50)
		results := make([]record.Result, n)
		want := []byte("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00")
		for i := range results {
			r := &results[i]
			r.DeviceID, r.ComplexData, r.Value, r.HasValue = device, complexData, value, i%2 == 0
			r.CreatedAt, r.EnqueuedAt, r.ProcessedAt, r.Offset = at, at, record.NoTime, int64(i)
			want = appendCopyRow(want, r)
		}
		want = append(want, 0xff, 0xff)
		c := newCopyReader(results)
		var got []byte
		buf := make([]byte, max(1, int(piece)))
		for {
			k, err := c.Read(buf)
			got = append(got, buf[:k]...)
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if string(got) != string(want) || c.bytes != int64(len(want)) {
			t.Fatalf("%d bytes read and %d counted, want %d", len(got), c.bytes, len(want))
		}
	})
}

// TestClassifyDuckDB holds what DuckDB's messages ask for.
func TestClassifyDuckDB(t *testing.T) {
	d := &duckDB{path: "/d/events.duckdb"}
	for message, want := range map[string]string{
		`IO Error: Could not set lock on file "/d/events.duckdb": Conflicting lock is held in /usr/bin/millrace (PID 4711) by user root.`:                              "/d/events.duckdb is already open in process 4711; several workers need PostgreSQL (SQL_URL)",
		`IO Error: Could not write file "/d/events.duckdb": No space left on device`:                                                                                   "the disk of /d/events.duckdb is full",
		`IO Error: Cannot open file "/d/events.duckdb": Read-only file system`:                                                                                         "/d/events.duckdb cannot be written",
		`IO Error: Cannot open file "/d/events.duckdb": Permission denied`:                                                                                             "/d/events.duckdb cannot be written",
		`Out of Memory Error: failed to allocate data of size 2.0 MiB`:                                                                                                 "DuckDB has no memory left while doing",
		"TransactionContext Error: Failed to commit: failed to pin block of size 256.0 KiB (63.8 MiB/64.0 MiB used)\n\nPossible solutions:":                            "DuckDB has no memory left while doing",
		"FATAL Error: Failed: database has been invalidated.\nOriginal error: \"Failed to create checkpoint because of error: failed to pin block of size 256.0 KiB\"": "DuckDB has no memory left while doing",
		`FATAL Error: Failed: database has been invalidated because of a previous fatal error`:                                                                         "DuckDB has given up while doing",
	} {
		err := d.classify("doing", errors.New(message))
		h := (*connector.Hinted)(nil)
		if !strings.HasPrefix(err.Error(), want) || !errors.As(err, &h) || connector.ActionOf(err) != connector.Fail || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s\nis reported as %v", message, err)
		}
	}
	if err := d.classify("doing", errors.New("TransactionContext Error: Conflict on update!")); connector.ActionOf(err) != connector.Retry {
		t.Errorf("a conflict: %v", err)
	}
}

// TestPieces: every row of a batch is in one piece, and pieces have their
// bound unless one row is larger.
func TestPieces(t *testing.T) {
	results := make([]record.Result, 100)
	for i := range results {
		results[i].ID[0] = byte(i % 90) // the last ten are there already
		results[i].ComplexData = []byte(strings.Repeat("x", i*37%1000))
	}
	b, err := newBatch(results)
	if err != nil {
		t.Fatal(err)
	}
	for _, most := range []int64{0, 1, 500, 3000, b.bytes} {
		var rows []int32
		pieces := b.pieces(most)
		for _, p := range pieces {
			if most > 0 && len(p.rows) > 1 && p.bytes > most {
				t.Errorf("a piece of %d bytes, more than %d", p.bytes, most)
			}
			rows = append(rows, p.rows...)
		}
		if !slices.Equal(rows, b.rows) {
			t.Errorf("pieces of %d have the rows %v", most, rows)
		}
		if (len(pieces) == 1) != (most == 0 || most >= b.bytes) {
			t.Errorf("%d pieces of %d", len(pieces), most)
		}
	}
}

// TestFit: exhausted memory makes pieces smaller down to a bound, success lets
// them grow, and other errors mean nothing.
func TestFit(t *testing.T) {
	f := &duckFile{}
	exhausted := errors.New("Out of Memory Error: failed to allocate data of size 2.0 MiB")
	if f.fit(64<<20, nil) || f.fit(64<<20, errMoved) || f.most != 0 {
		t.Errorf("without need %d bytes at once", f.most)
	}
	tries := 1
	for ; f.fit(64<<20, exhausted); tries++ {
	}
	if tries != 5 || f.most != leastPiece {
		t.Errorf("%d tries, at last with %d bytes at once", tries, f.most)
	}
	f.fit(64<<20, nil)
	if f.most <= leastPiece {
		t.Error("success does not let pieces grow")
	}
	if f.fit(leastPiece/2, exhausted) {
		t.Error("a small write is tried again")
	}
}
