package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/sqlc-dev/teesql/ast"
	"github.com/sqlc-dev/teesql/parser"

	"millrace/connector"
	"millrace/record"
)

// TestSQLServerAddress: what the driver is given, and what people see.
func TestSQLServerAddress(t *testing.T) {
	for _, c := range []struct {
		url, where string
		has, not   []string
		entra      bool
	}{
		{url: "sqlserver://sa:secret@127.0.0.1?database=d", where: "127.0.0.1:1433/d", has: []string{"app+name=millrace"}, not: []string{"encrypt"}},
		{url: "sqlserver://sa:secret@h:1434?database=d&encrypt=strict&app+name=mine", where: "h:1434/d", has: []string{"encrypt=strict", "app+name=mine"}},
		{url: "sqlserver://sa:secret@[::1]:1434?database=d", where: "[::1]:1434/d"},
		{url: "sqlserver://sa:secret@h/SQLEXPRESS?database=d", where: `h\SQLEXPRESS/d`},
		{url: "sqlserver://h:1?Database=d&user+id=sa&password=secret", where: "h:1/d"},
		// The driver would trust whoever answers in the name of Azure.
		{url: "sqlserver://sa:secret@x.database.windows.net?database=d", where: "x.database.windows.net:1433/d", has: []string{"encrypt=true"}},
		{url: "sqlserver://sa:secret@x.SQL.azuresynapse.net?database=d", where: "x.SQL.azuresynapse.net:1433/d", has: []string{"encrypt=true"}},
		{url: "sqlserver://sa:secret@x.database.windows.net?database=d&encrypt=false", where: "x.database.windows.net:1433/d", not: []string{"encrypt=true"}},
		{url: "sqlserver://x.database.windows.net?database=d&fedauth=ActiveDirectoryDefault", where: "x.database.windows.net:1433/d", entra: true},
	} {
		a, err := parseSQLServer(c.url)
		if err != nil {
			t.Errorf("%s: %v", c.url, err)
			continue
		}
		if a.where != c.where || a.entra != c.entra || strings.Contains(a.where, "secret") {
			t.Errorf("%s is %s, Entra ID %v", c.url, a.where, a.entra)
		}
		for _, part := range c.has {
			if !strings.Contains(a.dsn, part) {
				t.Errorf("%s: %s is not in %s", c.url, part, a.dsn)
			}
		}
		for _, part := range c.not {
			if strings.Contains(a.dsn, part) {
				t.Errorf("%s: %s is in %s", c.url, part, a.dsn)
			}
		}
	}
}

func numbered(numbers ...int32) error {
	var all []mssql.Error
	for _, n := range numbers {
		all = append(all, mssql.Error{Number: n, Class: 16, Message: fmt.Sprintf("message %d", n)})
	}
	e := all[len(all)-1]
	e.All = all
	return fmt.Errorf("doing: %w", e)
}

// TestClassifySQLServer holds the table of what SQL Server's errors ask for.
func TestClassifySQLServer(t *testing.T) {
	s := &sqlServer{where: "h:1/d"}
	for _, err := range []error{numbered(4060), numbered(4060, 18456)} {
		var h *connector.Hinted
		if err := s.classify("doing", err); connector.ActionOf(err) != connector.Fail || !errors.As(err, &h) || !strings.Contains(h.Hint, "database=") {
			t.Errorf("a database that was never open: %v", err)
		}
	}
	s.opened.Store(true)
	const refused = connector.Action(-1)
	for name, c := range map[string]struct {
		err    error
		want   connector.Action
		after  time.Duration
		hinted bool
	}{
		"deadlock":          {err: numbered(1205), want: connector.Retry},
		"lock timeout":      {err: numbered(1222), want: connector.Retry},
		"snapshot":          {err: numbered(3960), want: connector.Retry},
		"busy":              {err: numbered(40501), want: connector.Retry, after: 10 * time.Second},
		"workers":           {err: numbered(10928), want: connector.Retry, after: 10 * time.Second},
		"operations":        {err: numbered(49918), want: connector.Retry, after: 10 * time.Second},
		"failover":          {err: numbered(40197), want: connector.Retry},
		"moved":             {err: numbered(40613), want: connector.Retry},
		"cannot open":       {err: numbered(4060), want: connector.Retry},
		"cannot open, two":  {err: numbered(4060, 18456), want: connector.Retry},
		"reset":             {err: numbered(10054), want: connector.Retry},
		"no lock of ours":   {err: numbered(numberBusy), want: connector.Retry},
		"killed":            {err: numbered(596, 0), want: connector.Retry},
		"fatal":             {err: mssql.Error{Number: 9999, Class: 21}, want: connector.Retry},
		"duplicate key":     {err: numbered(2627, 3621), want: refused},
		"unique index":      {err: numbered(2601), want: refused},
		"truncated":         {err: numbered(2628, 3621), want: refused},
		"truncated, before": {err: numbered(8152), want: refused},
		"conversion":        {err: numbered(245), want: refused},
		"overflow":          {err: numbered(8115), want: refused},
		"not null":          {err: numbered(515), want: refused},
		"check":             {err: numbered(547), want: refused},
		"bulk length":       {err: numbered(4815), want: refused},
		"login":             {err: numbered(18456), want: connector.Fail, hinted: true},
		"firewall":          {err: numbered(40615), want: connector.Fail, hinted: true},
		"no right":          {err: numbered(262), want: connector.Fail, hinted: true},
		"read-only":         {err: numbered(3906), want: connector.Fail, hinted: true},
		"no table":          {err: numbered(208), want: connector.Fail, hinted: true},
		"other table":       {err: numbered(207), want: connector.Fail, hinted: true},
		"there already":     {err: numbered(2714), want: connector.Fail, hinted: true},
		"full":              {err: numbered(40544), want: connector.Fail, hinted: true},
		"tier":              {err: numbered(40536), want: connector.Fail, hinted: true},
		"syntax":            {err: numbered(102), want: connector.Fail},
		"a trigger's own":   {err: numbered(50000), want: connector.Fail},
		"TLS":               {err: errors.New("TLS Handshake failed: x509: certificate signed by unknown authority"), want: connector.Fail, hinted: true},
		"Entra ID":          {err: errors.New("DefaultAzureCredential: failed to acquire a token"), want: connector.Fail, hinted: true},
		"lost":              {err: fmt.Errorf("x: %w", syscall.ECONNRESET), want: connector.Retry},
		"closed":            {err: fmt.Errorf("x: %w", io.EOF), want: connector.Retry},
		"bad":               {err: fmt.Errorf("x: %w", driver.ErrBadConn), want: connector.Retry},
		"torn":              {err: mssql.StreamError{InnerError: io.ErrUnexpectedEOF}, want: connector.Retry},
		"cancelled":         {err: fmt.Errorf("x: %w", context.Canceled), want: connector.Fail},
		"deadline":          {err: fmt.Errorf("x: %w", context.DeadlineExceeded), want: connector.Fail},
	} {
		err := s.classify("doing", c.err)
		var r *refusedError
		var h *connector.Hinted
		var e *connector.Error
		got, after := connector.ActionOf(err), time.Duration(0)
		if errors.As(err, &r) {
			got = refused
		}
		if errors.As(err, &e) {
			after = e.After
		}
		if got != c.want || after != c.after || errors.As(err, &h) != c.hinted || !errors.Is(err, c.err) && !errors.As(err, new(mssql.Error)) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: action %d after %v, %v; want %d after %v", name, got, after, err, c.want, c.after)
		}
		if again := s.classify("more", err); again != err && c.want != connector.Fail {
			t.Errorf("%s is decided twice: %v", name, again)
		}
	}
	if err := moved(numbered(numberMoved)); !errors.Is(err, errMoved) {
		t.Errorf("moved positions: %v", err)
	}
}

// TestUnreachableSQLServer: one short sentence, with everything that the
// driver says in the chain.
func TestUnreachableSQLServer(t *testing.T) {
	s := &sqlServer{where: "h:1/d"}
	for want, err := range map[string]error{
		"connection refused":       &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)},
		"no such host h":           &net.DNSError{Name: "h", IsNotFound: true},
		"it closed the connection": driver.ErrBadConn,
		"message 40613":            numbered(40613),
	} {
		got := s.classify("writing", fmt.Errorf("a long story: %w", err))
		var u *connector.Unreachable
		if got.Error() != "cannot reach SQL Server at h:1/d: "+want || !errors.As(got, &u) || u.Hint == "" || connector.ActionOf(got) != connector.Retry {
			t.Errorf("%v, want %s", got, want)
		}
	}
}

// TestCompareColumns: what is missing is added, what does not fit is named.
func TestCompareColumns(t *testing.T) {
	standard := func() (found []foundColumn) {
		for _, c := range eventColumns(Columnstore) {
			f := foundColumn{name: strings.ToUpper(c.name), kind: c.kind, bytes: 2 * c.size, scale: c.size, null: c.null}
			if c.kind == "nvarchar" && c.size == 0 {
				f.bytes = -1
			}
			found = append(found, f)
		}
		return found
	}
	at := func(name string) int {
		for i, c := range eventColumns(Columnstore) {
			if c.name == name {
				return i
			}
		}
		t.Fatal(name)
		return -1
	}
	for want, change := range map[string]func([]foundColumn) []foundColumn{
		"": func(f []foundColumn) []foundColumn { return f },
		"+extra +processedAt": func(f []foundColumn) []foundColumn {
			return append(f[:at("processedAt")], f[at("storedAt"):at("extra")]...)
		},
		"there is no column storedAt": func(f []foundColumn) []foundColumn {
			f[at("storedAt")].name = "mine"
			f[at("storedAt")].fills = true
			return f
		},
		"column value is nvarchar(10) and must be float": func(f []foundColumn) []foundColumn {
			f[at("value")].kind, f[at("value")].bytes = "nvarchar", 20
			return f
		},
		"column deviceId is nvarchar(100) and must be nvarchar(256)":     func(f []foundColumn) []foundColumn { f[at("deviceId")].bytes = 200; return f },
		"column complexData is nvarchar(4000) and must be nvarchar(max)": func(f []foundColumn) []foundColumn { f[at("complexData")].bytes = 8000; return f },
		"column createdAt is datetime2(3) and must be datetime2(6)":      func(f []foundColumn) []foundColumn { f[at("createdAt")].scale = 3; return f },
		"column type must allow NULL":                                    func(f []foundColumn) []foundColumn { f[at("type")].null = false; return f },
		"column site is not Millrace's, and needs a default or must allow NULL": func(f []foundColumn) []foundColumn {
			return append(f, foundColumn{name: "site", kind: "int"}, foundColumn{name: "a", null: true}, foundColumn{name: "b", fills: true})
		},
	} {
		add, faults := compareColumns(change(standard()), eventColumns(Columnstore))
		got := strings.Join(faults, "; ")
		for i := len(add) - 1; i >= 0; i-- {
			got += " +" + add[i].name
		}
		if strings.TrimSpace(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestReadingQuery holds what is a query that only reads.
func TestReadingQuery(t *testing.T) {
	own := newNames("", "events", "r1")
	for text, want := range map[string]string{
		"SELECT count(*) FROM events":                                         "WITH events AS (SELECT * FROM events_r1) SELECT count(*) FROM events",
		"select 1 -- events":                                                  "select 1 -- events",
		"\n/* of a */ SELECT 1 FROM Events ; -- all; of them":                 "\n/* of a */ WITH events AS (SELECT * FROM events_r1) SELECT 1 FROM Events ; -- all; of them",
		"WITH a AS (SELECT 1 AS x) SELECT * FROM a, [events]":                 "WITH events AS (SELECT * FROM events_r1), a AS (SELECT 1 AS x) SELECT * FROM a, [events]",
		`SELECT '; DROP TABLE x', "delete", [drop]]s], N'it''s; EXEC'`:        `SELECT '; DROP TABLE x', "delete", [drop]]s], N'it''s; EXEC'`,
		"SELECT 1 FROM a INNER MERGE JOIN b ON 1 = 1 OPTION (MERGE JOIN)":     "SELECT 1 FROM a INNER MERGE JOIN b ON 1 = 1 OPTION (MERGE JOIN)",
		"SELECT a.x FROM a ORDER BY a.x OFFSET 5 ROWS FETCH NEXT 3 ROWS ONLY": "SELECT a.x FROM a ORDER BY a.x OFFSET 5 ROWS FETCH NEXT 3 ROWS ONLY",
		"SELECT/**/ 1.5e-3, 0xfF, .5, 1e5 /*/ * */ FROM a WHERE b<1.":         "SELECT/**/ 1.5e-3, 0xfF, .5, 1e5 /*/ * */ FROM a WHERE b<1.",
		"SELECT $PARTITION.f(1), N'größe', [größe] -- größe":                  "SELECT $PARTITION.f(1), N'größe', [größe] -- größe",
		"SELECT 1 UNION ALL SELECT 2 EXCEPT SELECT (SELECT 3)":                "SELECT 1 UNION ALL SELECT 2 EXCEPT SELECT (SELECT 3)",
		"SELECT CASE WHEN 1 = 1 THEN 2 ELSE 3 END":                            "SELECT CASE WHEN 1 = 1 THEN 2 ELSE 3 END",
	} {
		if got, err := readingQuery(text, own); err != nil || got != want {
			t.Errorf("%s\nbecomes %s (%v), want\n%s", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", ";", "-- nothing", "(SELECT 1)", "DELETE FROM events", "sp_who", "[SELECT] 1", "@a", "1",
		"SELECT 1; DELETE FROM events", "SELECT 1 DELETE FROM events", "SELECT 1\nDROP TABLE events", "SELECT 1; SELECT 2", "SELECT 1;;",
		"SELECT * INTO mine FROM events", "WITH x AS (SELECT 1 a) DELETE FROM x", "WITH x AS (SELECT 1 a) UPDATE x SET a = 2",
		"SELECT 1 COMMIT", "SELECT 1 ROLLBACK DELETE FROM events", "SELECT 1 EXEC sp_who", "SELECT 1 execute('DROP TABLE events')",
		"SELECT 1 MERGE INTO events USING x ON 1=1", "SELECT 1 MERGE events", "SELECT NEXT VALUE FOR s", "SELECT next /**/ value for s",
		"SELECT * FROM OPENROWSET(BULK 'a', SINGLE_BLOB) AS x", "SELECT * FROM openquery(s, 'DROP TABLE x')",
		"SELECT 1 BEGIN TRAN", "SELECT 1 SET NOCOUNT ON", "SELECT 1 WAITFOR DELAY '1:00'", "SELECT 1 SHUTDOWN", "SELECT 1 DBCC x", "SELECT 1 KILL 5",
		"SELECT 1 TRUNCATE TABLE events", "SELECT 1 CREATE TABLE x (a int)", "SELECT 1 ALTER TABLE x ADD a int", "SELECT 1 GRANT x TO y",
		"SELECT 1 DECLARE @a int", "SELECT 1 IF 1=1 SELECT 2", "SELECT 1 WHILE 1=1 SELECT 2", "SELECT 1 USE master", "SELECT 1 ENABLE TRIGGER x ON y",
		"SELECT 1 --\rDELETE FROM events", "SELECT 1 --\u2028DELETE FROM events", "SELECT 1 /* /* */ ' */ DELETE FROM events SELECT ''",
		"SELECT 1DELETE FROM events", "SELECT 1COMMIT SELECT 2", "SELECT 1 SELECT 2", "WITH a AS (SELECT 1 x) SELECT * FROM a SELECT 2", "SELECT (1) SELECT 2", "SELECT (1", "SELECT 1) SELECT (2", "SELECT 1.e5DROP TABLE x", "SELECT 1.eDROP TABLE x", "SELECT .5e1DROP TABLE x", "SELECT 1.5EXEC sp_who",
		"SELECT 1e+5DROP TABLE x", "SELECT 0x1ROLLBACK", "SELECT 1eCOMMIT", "SELECT 1_COMMIT", "SELECT $COMMIT", "SELECT $1COMMIT", "SELECT 1\u00a0COMMIT",
		"SELECT 1 MERGE [JOIN] USING x ON 1=1", "SELECT 1 \uff24\uff25\uff2c\uff25\uff34\uff25 FROM x", "SELECT 1 /* /*/ + ' */ */ COMMIT DELETE FROM events --'", "SELECT 1 /*/*/ + ' */ */ COMMIT --'", "SELECT 1 DEL\u200bETE FROM x", "SELECT 1 \u212aILL 5",
		"SELECT 1 END CONVERSATION 'x'", "SELECT 1 AS a RENAME OBJECT events TO x", "SELECT 0xA\\\nDE",
		"SELECT '", "SELECT [", `SELECT "`, "SELECT 1 /* ", "SELECT 'a''", "SELECT {fn now()}", "SELECT \x00 1", "SELECT '\xff'",
	} {
		if got, err := readingQuery(text, own); err == nil || !errors.Is(err, errServerReads) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q is allowed, or refused in a strange way: %v %s", text, err, got)
		}
	}
	plain := newNames("", "events", "")
	if got, err := readingQuery("SELECT * FROM events", plain); err != nil || got != "SELECT * FROM events" {
		t.Errorf("with a table of that name: %s %v", got, err)
	}
}

// FuzzReadingQuery: whatever is let through is one SELECT for a parser that we
// did not write, too, or nothing that it can parse at all.
func FuzzReadingQuery(f *testing.F) {
	for _, text := range []string{"SELECT 1", "WITH a AS (SELECT 1 AS x) SELECT * FROM a", "SELECT 1 DELETE FROM events", "SELECT 'a''b' /* c */ -- d",
		"SELECT 1DELETE FROM x", "SELECT 1.5e-3, 0xfF, .5 FROM events WHERE a<1.", "SELECT 1.eCOMMIT", "SELECT $1, $partition.f(1)", "SELECT 1 MERGE [JOIN] USING x ON 1=1",
		"SELECT [a]]b] FROM \"x\"\"y\"; ", "SELECT 1; DROP TABLE x", "SELECT N'x' UNION ALL SELECT 2 ORDER BY 1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := readingQuery(text, newNames("", "events", "r1"))
		if err != nil {
			return
		}
		script, err := parser.Parse(t.Context(), strings.NewReader(got))
		if err != nil {
			return
		}
		n := 0
		for _, b := range script.Batches {
			for _, s := range b.Statements {
				n++
				switch s.(type) {
				case *ast.ExecuteStatement, *ast.LabelStatement:
					return // the parser takes "SELECT*x" for a procedure of that name, or for a label
				}
				if q, ok := s.(*ast.SelectStatement); !ok || q.Into != nil {
					t.Fatalf("%q is let through, and is a %T", text, s)
				}
			}
		}
		if n != 1 {
			t.Fatalf("%q is let through, and is %d statements", text, n)
		}
	})
}

// FuzzRowEncoder checks texts against the standard library, and that no value
// of a row is changed by making the next one's.
func FuzzRowEncoder(f *testing.F) {
	f.Add("device", "TEMP", `{"a":1}`, `"b":2`, 1.5)
	f.Add("", "", "{}", "", 5e-324)
	f.Add("дēvice ✓ 😀", "a\x00b", strings.Repeat("x", 10_000), `"x":"😀"`, math.Copysign(0, -1))
	f.Fuzz(func(t *testing.T, device, kind, complexData, extra string, value float64) {
		for _, s := range []string{device, kind, complexData, extra} {
			if !utf8.ValidString(s) {
				return
			}
		}
		r := record.Result{Partition: 3, Offset: 4, EnqueuedAt: record.NoTime, ProcessedAt: 7}
		r.ID, r.DeviceID, r.Type, r.ComplexData, r.Extra = record.ID{1, 2, 3, 4, 5, 6, 7, 8}, []byte(device), []byte(kind), []byte(complexData), []byte(extra)
		r.Value, r.HasValue = value, true
		var e rowEncoder
		e.encode(&record.Result{})
		v := e.encode(&r)
		wantExtra, wantValue := "{"+extra, any(value)
		if !plainDouble(value) {
			if extra != "" {
				wantExtra += ","
			}
			wantExtra += fmt.Sprintf(`"value":%v`, value)
			wantValue = nil
		}
		if v[4] != wantValue && value == value {
			t.Errorf("value %v, want %v", v[4], wantValue)
		}
		for i, want := range map[int]string{1: device, 3: kind, 5: complexData, 11: wantExtra + "}"} {
			b, ok := v[i].([]byte)
			if !ok {
				t.Fatalf("%s is %v", stagedNames[i], v[i])
			}
			var got []uint16
			for j := 0; j+1 < len(b); j += 2 {
				got = append(got, uint16(b[j])|uint16(b[j+1])<<8)
			}
			if string(utf16.Decode(got)) != want {
				t.Errorf("%s is %q, want %q", stagedNames[i], string(utf16.Decode(got)), want)
			}
			if units([]byte(want)) != len(got) {
				t.Errorf("%q has %d units of UTF-16, not %d", want, len(got), units([]byte(want)))
			}
		}
		if id := record.ID(guid(record.ID(v[0].([]byte)))); id != r.ID || v[7] != nil {
			t.Errorf("id %v, enqueuedAt %v", id, v[7])
		}
	})
}

// TestFits: what the server or the driver would not take as it is.
func TestFits(t *testing.T) {
	for _, layout := range []string{Columnstore, Warehouse} {
		s := &sqlServer{names: newServerNames(newNames("", "events", ""), layout)}
		for want, change := range map[string]func(*record.Result){
			"":          func(r *record.Result) { r.EnqueuedAt, r.ProcessedAt = record.NoTime, record.NoTime },
			"years":     func(r *record.Result) { r.CreatedAt = latest + 1 },
			"the years": func(r *record.Result) { r.ProcessedAt = earliest - 1 },
			"createdAt": func(r *record.Result) { r.CreatedAt = record.NoTime },
			"deviceId of event 00000000-0000-0000-0000-000000000000 has 257 characters, its column takes 256": func(r *record.Result) { r.DeviceID = []byte(strings.Repeat("é", 257)) },
			"type of": func(r *record.Result) { r.Type = []byte(strings.Repeat("😀", 129)) },
		} {
			r := record.Result{}
			change(&r)
			if err := s.fits(&r); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		}
		r := record.Result{}
		r.DeviceID, r.Type, r.ComplexData = []byte(strings.Repeat("é", 256)), []byte(strings.Repeat("😀", 128)), []byte(strings.Repeat("x", 4001))
		if err := s.fits(&r); (err != nil) != (layout == Warehouse) {
			t.Errorf("%s takes 4001 characters: %v", layout, err)
		}
		r.ComplexData, r.Extra = r.ComplexData[:4000], []byte(strings.Repeat("x", 3998))
		if err := s.fits(&r); err != nil {
			t.Error(err)
		}
	}
}

// TestPlainServer: values as queries give them.
func TestPlainServer(t *testing.T) {
	at := time.Date(2026, 1, 2, 5, 4, 5, 500_000_000, time.FixedZone("", 7200))
	for _, c := range []struct {
		in   any
		kind string
		want any
	}{
		{nil, "INT", nil}, {int64(3), "INT", int64(3)}, {1.5, "FLOAT", 1.5}, {true, "BIT", true}, {"a", "NVARCHAR", "a"},
		{[]byte("12"), "DECIMAL", int64(12)}, {[]byte("12.50"), "DECIMAL", 12.5}, {[]byte("123456789012345678901"), "NUMERIC", "123456789012345678901"},
		{[]byte("1.2500"), "MONEY", 1.25},
		{[]byte{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15}, "UNIQUEIDENTIFIER", "00010203-0405-0607-0809-0a0b0c0d0e0f"},
		{time.Date(1, 1, 1, 3, 4, 5, 600_000_000, time.UTC), "TIME", "03:04:05.6"},
	} {
		if got := plainServer(c.in, c.kind); got != c.want {
			t.Errorf("%v (%s) is %#v, want %#v", c.in, c.kind, got, c.want)
		}
	}
	if got := plainServer(at, "DATETIMEOFFSET"); !got.(time.Time).Equal(at) || got.(time.Time).Location() != time.UTC {
		t.Errorf("%v", got)
	}
	if got := plainServer([]byte{1}, "VARBINARY"); string(got.([]byte)) != "\x01" {
		t.Errorf("%v", got)
	}
}

// BenchmarkRowEncoder makes the values of an event of the usual size, without
// what the driver does with them.
func BenchmarkRowEncoder(b *testing.B) {
	r := record.Result{Partition: 1, Offset: 2, EnqueuedAt: 3, ProcessedAt: 4}
	r.DeviceID, r.Type, r.Value, r.HasValue = []byte("contoso://device-id-123"), []byte("TEMP"), 21.5, true
	r.ComplexData = []byte("{" + strings.Repeat(`"moreData10":21.123456789012345,`, 23) + `"x":1}`)
	var e rowEncoder
	b.ReportAllocs()
	for b.Loop() {
		e.encode(&r)
	}
}
