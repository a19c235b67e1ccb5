package local_test

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"millrace/connector/sqldb/local"
)

// shredder is a connection whose packets are cut into packets of n bytes, so
// that every field of a request is split at every place.
type shredder struct {
	net.Conn
	n    int
	rest []byte
}

func (s *shredder) Write(b []byte) (int, error) {
	const header = 8
	s.rest = append(s.rest, b...)
	for len(s.rest) >= header {
		size := int(binary.BigEndian.Uint16(s.rest[2:]))
		if len(s.rest) < size {
			break
		}
		whole := s.rest[:size]
		var out []byte
		for at := header; at < size || at == header; at += s.n {
			end := min(size, at+s.n)
			h := append([]byte(nil), whole[:header]...)
			if end < size {
				h[1] &^= 1
			}
			binary.BigEndian.PutUint16(h[2:], uint16(end-at+header))
			out = append(append(out, h...), whole[at:end]...)
		}
		s.rest = append([]byte(nil), s.rest[size:]...)
		if _, err := s.Conn.Write(out); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

type shredding int

func (n shredding) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, addr)
	return &shredder{Conn: c, n: int(n)}, err
}

func TestRequestsSplitEverywhere(t *testing.T) {
	t.Parallel()
	s, _ := start(t, local.Options{})
	for _, n := range []int{1, 2, 3, 5, 13} {
		c, err := mssql.NewConnector(s.Address())
		if err != nil {
			t.Fatal(err)
		}
		c.Dialer = shredding(n)
		db := sql.OpenDB(c)
		t.Cleanup(func() { db.Close() })
		typesRoundTrip(t, db)
		bulk(t, db, fmt.Sprintf("split%d", n), 20)
	}
}

func TestPacketSizes(t *testing.T) {
	t.Parallel()
	for _, size := range []string{"512", "4096", "32767"} {
		_, db := start(t, local.Options{}, "packet+size="+size)
		typesRoundTrip(t, db)
		text := strings.Repeat("0123456789ä", 20_000)
		var back string
		if err := db.QueryRowContext(t.Context(), "SELECT @p1", text).Scan(&back); err != nil || back != text {
			t.Fatalf("packets of %s: %d characters came back as %d: %v", size, len(text), len(back), err)
		}
		bulk(t, db, "sizes", 500)
	}
}

// typesRoundTrip sends a value of every type and its NULL, and reads them back
// from parameters, from a table, and through CAST.
func typesRoundTrip(t *testing.T, db *sql.DB) {
	t.Helper()
	at := time.Date(2026, 2, 3, 4, 5, 6, 123456700, time.FixedZone("", 5400))
	var guid mssql.UniqueIdentifier
	if err := guid.Scan("0B2C7F2E-6A3F-4C55-9D3A-2F1F6D0C8A11"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		declared string
		in, want any
	}{
		{"bit", true, true}, {"tinyint", int64(255), int64(255)}, {"smallint", int64(math.MinInt16), int64(math.MinInt16)},
		{"int", int64(math.MinInt32), int64(math.MinInt32)}, {"bigint", int64(math.MaxInt64), int64(math.MaxInt64)},
		{"real", 1.5, 1.5}, {"float", math.MaxFloat64, math.MaxFloat64},
		{"decimal(38,10)", "-1234567890123456789012345678.0123456789", []byte("-1234567890123456789012345678.0123456789")},
		{"decimal(9,2)", "1.005", []byte("1.01")}, {"money", "-12.3456", []byte("-12.3456")}, {"smallmoney", "214748.3647", []byte("214748.3647")},
		{"uniqueidentifier", guid, []byte{0x2E, 0x7F, 0x2C, 0x0B, 0x3F, 0x6A, 0x55, 0x4C, 0x9D, 0x3A, 0x2F, 0x1F, 0x6D, 0x0C, 0x8A, 0x11}},
		{"date", "9999-12-31", time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)},
		{"time(3)", "23:59:59.999", time.Date(1, 1, 1, 23, 59, 59, 999e6, time.UTC)},
		{"datetime2(6)", at.UTC(), at.UTC().Round(time.Microsecond)}, {"datetime2(0)", "0001-01-01", time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"datetimeoffset(7)", at, at}, {"datetime", "1753-01-01T00:00:00.003", time.Date(1753, 1, 1, 0, 0, 0, 3000000, time.UTC)},
		{"smalldatetime", "2026-02-03T04:05:29", time.Date(2026, 2, 3, 4, 5, 0, 0, time.UTC)},
		{"char(3)", "a", "a  "}, {"varchar(10)", "grün €", "grün €"}, {"varchar(max)", "x", "x"}, {"nchar(3)", "ä", "ä  "},
		{"nvarchar(10)", "", ""}, {"nvarchar(max)", "𝄞 clef", "𝄞 clef"},
		{"binary(3)", []byte{1}, []byte{1, 0, 0}}, {"varbinary(5)", []byte{0xFF, 0}, []byte{0xFF, 0}}, {"varbinary(max)", []byte{}, []byte{}},
	} {
		for _, in := range []any{tt.in, nil} {
			want := tt.want
			if in == nil {
				want = nil
			}
			var direct, stored any
			if err := db.QueryRowContext(t.Context(), "SELECT CAST(@p1 AS "+tt.declared+")", in).Scan(&direct); err != nil {
				t.Fatalf("%s of %v: %v", tt.declared, in, err)
			}
			// One request: a pooled connection loses its temporary tables.
			err := db.QueryRowContext(t.Context(), "DECLARE @t TABLE (v "+tt.declared+" NULL); INSERT INTO @t VALUES (@p1); SELECT v FROM @t", in).Scan(&stored)
			if err != nil {
				t.Fatalf("%s of %v in a table: %v", tt.declared, in, err)
			}
			for _, got := range []any{direct, stored} {
				if !same(got, want) {
					t.Errorf("%s of %v: %#v, want %#v", tt.declared, in, got, want)
				}
			}
		}
	}
}

func same(a, b any) bool {
	if x, ok := a.(time.Time); ok {
		y, ok := b.(time.Time)
		return ok && x.Sub(y).Abs() < time.Microsecond
	}
	return reflect.DeepEqual(a, b)
}

func TestTexts(t *testing.T) {
	t.Parallel()
	_, db := start(t, local.Options{})
	for _, n := range []int{0, 1, 3999, 4000, 4001, 70_000} {
		for _, unit := range []string{"a", "ä", "€"} {
			want := strings.Repeat(unit, n)
			var got string
			var length int
			if err := db.QueryRowContext(t.Context(), "SELECT @p1, LEN(@p1)", want).Scan(&got, &length); err != nil || got != want || length != n {
				t.Errorf("%d of %s: length %d, equal %v, %v", n, unit, length, got == want, err)
			}
		}
	}
	clefs := strings.Repeat("𝄞", 2000)
	var got string
	var length int
	if err := db.QueryRowContext(t.Context(), "SELECT CAST(@p1 AS nvarchar(4000)), LEN(@p1)", clefs).Scan(&got, &length); err != nil || got != clefs || length != 4000 {
		t.Errorf("surrogate pairs: %d units, equal %v, %v", length, got == clefs, err)
	}
	_, err := db.ExecContext(t.Context(), "DECLARE @t TABLE (v nvarchar(4000)); INSERT INTO @t VALUES (@p1)", clefs+"x")
	if number(err) != 2628 {
		t.Errorf("4001 units into nvarchar(4000): %v", err)
	}
}

// bulk loads n rows and merges them twice.
func bulk(t *testing.T, db *sql.DB, table string, n int) {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const columns = "(id bigint NOT NULL, name nvarchar(50) NULL, amount float NULL, at datetime2(6) NOT NULL, note nvarchar(max) NULL, PRIMARY KEY (id))"
	exec(t, conn, "CREATE TABLE #load "+columns)
	exec(t, conn, "CREATE TABLE "+table+" "+columns)
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	err = conn.Raw(func(c any) error {
		b := c.(*mssql.Conn).CreateBulkContext(t.Context(), "#load", []string{"id", "name", "amount", "at", "note"})
		b.Options = mssql.BulkOptions{Tablock: true, RowsPerBatch: n}
		for i := range n {
			var note any
			if i%3 == 0 {
				note = strings.Repeat("€", i%100)
			}
			if err := b.AddRow([]any{int64(i), fmt.Sprintf("name %d", i), float64(i) / 4, at.Add(time.Duration(i) * time.Second), note}); err != nil {
				return err
			}
		}
		loaded, err := b.Done()
		if err == nil && loaded != int64(n) {
			err = fmt.Errorf("%d rows loaded of %d", loaded, n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	const merge = " AS t USING #load AS s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id, name, amount, at, note) VALUES (s.id, s.name, s.amount, s.at, s.note);"
	for i, want := range []int64{int64(n), 0} {
		if got := exec(t, conn, "MERGE INTO "+table+merge); got != want {
			t.Errorf("merge %d inserts %d rows, want %d", i, got, want)
		}
	}
	var count, notes, characters int
	var sum float64
	row := conn.QueryRowContext(t.Context(), "SELECT COUNT(*), COUNT(note), SUM(LEN(note)), SUM(amount) FROM "+table)
	if err := row.Scan(&count, &notes, &characters, &sum); err != nil {
		t.Fatal(err)
	}
	wantCharacters := 0
	for i := 0; i < n; i += 3 {
		wantCharacters += i % 100
	}
	if count != n || notes != (n+2)/3 || characters != wantCharacters || sum != float64(n)*float64(n-1)/8 {
		t.Errorf("of %d rows: count %d, %d notes of %d characters (want %d), sum %g", n, count, notes, characters, wantCharacters, sum)
	}
}

func TestBulkLoad(t *testing.T) {
	t.Parallel()
	s, db := start(t, local.Options{})
	bulk(t, db, "some", 10_000)
	bulk(t, db, "one", 1)
	exec(t, db, "CREATE TABLE large (id int PRIMARY KEY)")
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const n = 100_000
	err = conn.Raw(func(c any) error {
		b := c.(*mssql.Conn).CreateBulkContext(t.Context(), "large", []string{"id"})
		for i := range n {
			if err := b.AddRow([]any{i}); err != nil {
				return err
			}
		}
		loaded, err := b.Done()
		if err == nil && (loaded != n || s.Rows("large") != n) {
			err = fmt.Errorf("%d rows loaded, %d there, of %d", loaded, s.Rows("large"), n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBulkLoadRefused(t *testing.T) {
	t.Parallel()
	s, db := start(t, local.Options{})
	exec(t, db, "CREATE TABLE narrow (id int PRIMARY KEY, name nvarchar(3) NOT NULL)")
	exec(t, db, "INSERT INTO narrow VALUES (1, N'one')")
	load := func(rows ...[]any) error {
		stmt, err := db.PrepareContext(t.Context(), mssql.CopyIn("narrow", mssql.BulkOptions{}, "id", "name"))
		if err != nil {
			return err
		}
		defer stmt.Close()
		for _, r := range rows {
			if _, err := stmt.ExecContext(t.Context(), r...); err != nil {
				return err
			}
		}
		_, err = stmt.ExecContext(t.Context())
		return err
	}
	for want, rows := range map[int32][][]any{
		2627: {{2, "two"}, {1, "one"}}, 4815: {{2, "two"}, {3, "three"}}, 515: {{2, "two"}, {3, nil}}, 0: {{2, "two"}},
	} {
		if err := load(rows...); number(err) != want || want == 0 && err != nil {
			t.Errorf("want error %d: %v", want, err)
		}
	}
	if n := s.Rows("narrow"); n != 2 {
		t.Errorf("%d rows: a load that fails must leave none", n)
	}
	if err := load([]any{9, "x"}, []any{9, "x"}); number(err) != 2627 {
		t.Errorf("a key twice in a load: %v", err)
	}
}

// payload is a row of a table type. Tags leave a field out.
type payload struct {
	ID     mssql.UniqueIdentifier
	Name   string
	Amount *float64
	At     time.Time
	Hidden int `tvp:"-"`
}

func TestTableParameters(t *testing.T) {
	t.Parallel()
	_, db := start(t, local.Options{})
	exec(t, db, "CREATE TYPE payloadType AS TABLE (id uniqueidentifier PRIMARY KEY, name varchar(100), amount numeric(18,1), at datetime2(7))")
	exec(t, db, "CREATE TABLE target (id uniqueidentifier, name varchar(100), amount numeric(18,1), at datetime2(7))")
	exec(t, db, `CREATE PROCEDURE dbo.store @rows payloadType READONLY, @n int OUTPUT AS
BEGIN
	INSERT INTO target SELECT id, name, amount, at FROM @rows;
	SET @n = @@ROWCOUNT;
	RETURN 7;
END`)
	amount := 2.25
	for _, rows := range [][]payload{{}, {{ID: mssql.UniqueIdentifier{1}, Name: "a"}, {ID: mssql.UniqueIdentifier{2}, Name: "b", Amount: &amount}}} {
		var n int
		var status mssql.ReturnStatus
		_, err := db.ExecContext(t.Context(), "dbo.store", sql.Named("rows", mssql.TVP{TypeName: "dbo.payloadType", Value: rows}), sql.Named("n", sql.Out{Dest: &n}), &status)
		if err != nil || n != len(rows) || status != 7 {
			t.Errorf("%d rows by a call: %d stored, status %d, %v", len(rows), n, status, err)
		}
	}
	rows := []payload{{ID: mssql.UniqueIdentifier{3}, Name: strings.Repeat("x", 101)}}
	_, err := db.ExecContext(t.Context(), "INSERT INTO target SELECT * FROM @p1", mssql.TVP{TypeName: "payloadType", Value: rows})
	if number(err) != 2628 {
		t.Errorf("a text that is too long for the table type: %v", err)
	}
	var count int
	var sum string
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*), SUM(amount) FROM target").Scan(&count, &sum); err != nil || count != 2 || sum != "2.3" {
		t.Errorf("%d rows, sum %s, %v", count, sum, err)
	}
}

func TestCancelWhileRowsStream(t *testing.T) {
	t.Parallel()
	_, db := start(t, local.Options{})
	db.SetMaxOpenConns(1)
	exec(t, db, "CREATE TABLE n (a int)")
	exec(t, db, "INSERT INTO n SELECT [key] FROM OPENJSON('["+strings.Repeat("0,", 149)+"0]')")
	exec(t, db, "SELECT a.a, b.a AS b, N'"+strings.Repeat("x", 200)+"' AS c INTO many FROM n AS a CROSS JOIN n AS b")
	for _, text := range []string{
		"SELECT * FROM many",
		"SELECT * FROM many ORDER BY b, a",
		"WHILE 1 = 1 SELECT 1",
	} {
		ctx, cancel := context.WithCancel(t.Context())
		rows, err := db.QueryContext(ctx, text)
		if err == nil {
			for i := 0; i < 10 && rows.Next(); i++ {
			}
			cancel()
			for rows.Next() {
			}
			err = rows.Err()
			rows.Close()
		}
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%.40s: %v", text, err)
		}
		var one int
		if err := db.QueryRowContext(t.Context(), "SELECT 1").Scan(&one); err != nil || one != 1 {
			t.Fatalf("after a cancelled %.40s: %v", text, err)
		}
	}
	if _, err := db.ExecContext(t.Context(), "SELECT a.a"+strings.Repeat(", a.a", 99)+" FROM n AS a, n AS b, n AS c, n AS d"); number(err) != 701 {
		t.Errorf("a result beyond the memory: %v", err)
	}
}

func TestCancelWhileWaiting(t *testing.T) {
	t.Parallel()
	_, db := start(t, local.Options{})
	for _, text := range []string{"WAITFOR DELAY '01:00:00'", "WHILE 1 = 1 SET NOCOUNT ON", "SELECT 1; WAITFOR DELAY '01:00:00'"} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := db.ExecContext(ctx, text); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", text, err)
		}
		cancel()
	}
	if err := db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	s, db := start(t, local.Options{})
	db.SetMaxOpenConns(1)
	exec(t, db, "CREATE TABLE kept (a int)")
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exec(t, conn, "CREATE TABLE #own (a int); SET XACT_ABORT ON; BEGIN TRANSACTION; INSERT INTO kept VALUES (1)")
	conn.Close() // back to the pool, with its transaction
	var count int
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) + @@TRANCOUNT FROM kept").Scan(&count); err != nil || count != 0 {
		t.Errorf("after a reset %d rows and transactions, %v", count, err)
	}
	if _, err := db.ExecContext(t.Context(), "SELECT * FROM #own"); number(err) != 208 {
		t.Errorf("a temporary table after a reset: %v", err)
	}
	if n := s.Rows("kept"); n != 0 {
		t.Errorf("%d rows", n)
	}
}

func TestEncryption(t *testing.T) {
	t.Parallel()
	config, err := local.SelfSigned()
	if err != nil {
		t.Fatal(err)
	}
	s, _ := start(t, local.Options{TLS: config})
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: config.Certificates[0].Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"disable", "false", "true", "strict"} {
		url := strings.Replace(s.Address(), "encrypt=true", "encrypt="+mode, 1)
		if mode == "strict" { // which trusts nobody without a reason
			url = strings.Replace(url, "TrustServerCertificate=true", "certificate="+file, 1)
		}
		db := open(t, url)
		text := strings.Repeat("x", 100_000)
		var got string
		if err := db.QueryRowContext(t.Context(), "SELECT @p1", text).Scan(&got); err != nil || got != text {
			t.Errorf("encrypt=%s: %d characters, %v", mode, len(got), err)
		}
	}
	plain, _ := start(t, local.Options{})
	if err := open(t, strings.Replace(plain.Address(), "encrypt=disable", "encrypt=true", 1)).PingContext(t.Context()); err == nil {
		t.Error("a client that wants TLS is served without it")
	}
}

func TestLogins(t *testing.T) {
	t.Parallel()
	s, _ := start(t, local.Options{User: "someone", Password: "p@ss:word/€", Token: "a token"})
	if err := open(t, s.Address()).PingContext(t.Context()); err != nil {
		t.Error(err)
	}
	for url, want := range map[string]int32{
		strings.Replace(s.Address(), "someone", "nobody", 1):      18456,
		strings.Replace(s.Address(), "streaming", "elsewhere", 1): 4060,
		strings.Replace(s.Address(), "%2F", "", 1):                18456,
	} {
		if err := open(t, url).PingContext(t.Context()); number(err) != want {
			t.Errorf("want %d: %v", want, err)
		}
	}
	for token, ok := range map[string]bool{"a token": true, "another": false} {
		c, err := mssql.NewAccessTokenConnector("sqlserver://"+s.HostPort()+"?database=streaming&encrypt=disable", func() (string, error) { return token, nil })
		if err != nil {
			t.Fatal(err)
		}
		db := sql.OpenDB(c)
		if err := db.PingContext(t.Context()); (err == nil) != ok || !ok && number(err) != 18456 {
			t.Errorf("token %q: %v", token, err)
		}
		db.Close()
	}
	if strings.Contains(s.Redacted(), "p%40ss") || !strings.Contains(s.Redacted(), ":***@") {
		t.Errorf("%s shows the password", s.Redacted())
	}
}
