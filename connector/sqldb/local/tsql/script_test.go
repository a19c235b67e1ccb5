package tsql

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/connector/sqldb/local/value"
)

// transcript writes down what a client would be told.
type transcript struct {
	lines   []string
	columns []value.Column
}

func (t *transcript) add(format string, args ...any) {
	t.lines = append(t.lines, fmt.Sprintf(format, args...))
}

func (t *transcript) Columns(c []value.Column) error { t.columns = c; return nil }
func (t *transcript) Row(r []value.Value) error {
	var parts []string
	for i, v := range r {
		parts = append(parts, value.Format(v, t.columns[i].Type, 3))
	}
	t.add("%s", strings.Join(parts, "|"))
	return nil
}
func (t *transcript) Done(command uint16, rows int64, counted bool) error {
	if counted && command != commandSelect {
		t.add("(%d)", rows)
	}
	return nil
}
func (t *transcript) Error(e *value.Error) error {
	t.add("error %d class %d state %d line %d", e.Number, e.Class, e.State, e.Line)
	return nil
}
func (t *transcript) Info(e *value.Error) error    { t.add("info %s", e.Message); return nil }
func (t *transcript) Changed(name, _ string) error { t.add("in %s", name); return nil }
func (t *transcript) Begun(uint64) error           { t.add("begun"); return nil }
func (t *transcript) Committed(uint64) error       { t.add("committed"); return nil }
func (t *transcript) RolledBack(uint64) error      { t.add("rolled back"); return nil }

func session(t *testing.T, e *Engine) *Session {
	t.Helper()
	s, failed := e.Session("d", "sa")
	if failed != nil {
		t.Fatal(failed)
	}
	t.Cleanup(s.Close)
	return s
}

func ask(t *testing.T, s *Session, text string) string {
	t.Helper()
	var out transcript
	if err := s.Batch(t.Context(), text, &out); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return strings.Join(out.lines, "\n")
}

const people = `CREATE TABLE people (id int NOT NULL PRIMARY KEY, name nvarchar(10) NOT NULL, age int NULL, CONSTRAINT named UNIQUE (name));
INSERT INTO people VALUES (1, N'Ann', 30), (2, N'bob', 40), (3, N'Cy', NULL)`

// TestStatements says what statements mean: text, and what the client is told.
func TestStatements(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 2, 3, 4, 5, 6, 789000000, time.UTC)
	for _, tt := range []struct{ text, want string }{
		{"SELECT 1 + 2 * 3, 7 / 2, 7 % 4, -7 / 2, 1.5 * 2, 10 / 4.0, N'a' + N'b', 2e0 / 3", "7|3|3|-3|3.0|2.500000|ab|0.66666666666666663"},
		{"SELECT CASE WHEN NULL = NULL THEN 1 ELSE 0 END, ISNULL(NULL, 5), COALESCE(NULL, NULL, 6), NULLIF(1, 1), IIF(1 < 2, N'y', N'n')", "0|5|6|NULL|y"},
		{"SELECT UPPER(N'grün'), LEN(N'ab  '), SUBSTRING(N'abcdef', 2, 3), LEFT(N'abc', 2), RIGHT(N'abc', 2), CHARINDEX(N'c', N'abc'), REPLACE(N'aXa', N'x', N'-')", "GRÜN|2|bcd|ab|bc|3|aXa"},
		{"SELECT SYSUTCDATETIME(), DATEADD(month, 1, CAST('2026-01-31' AS date)), DATEDIFF(hour, '2026-01-01T23:59', '2026-01-02T00:01'), YEAR('2026-05-06')", "2026-02-03 04:05:06.7890000|2026-02-28|1|2026"},
		{"SELECT COUNT(*), COUNT(age), SUM(age), AVG(age), MIN(name), MAX(age) FROM people", "3|2|70|35|Ann|40"},
		{"SELECT COUNT(*) FROM people WHERE 1 = 0; SELECT MAX(age) FROM people WHERE 1 = 0", "0\nNULL"},
		{"SELECT name FROM people WHERE name = N'BOB ' OR age IS NULL ORDER BY id DESC", "Cy\nbob"},
		{"SELECT name FROM people WHERE name LIKE N'[a-b]%' ORDER BY name", "Ann\nbob"},
		{"SELECT TOP (1) id FROM people ORDER BY age DESC; SELECT id FROM people ORDER BY id OFFSET 1 ROWS FETCH NEXT 1 ROWS ONLY", "2\n2"},
		{"SELECT age / 10 AS decade, COUNT(*) AS n FROM people GROUP BY age / 10 HAVING COUNT(*) > 0 ORDER BY decade DESC", "4|1\n3|1\nNULL|1"},
		{"SELECT a.id, b.id FROM people AS a LEFT JOIN people AS b ON b.id = a.id + 1 WHERE a.id > 1 ORDER BY a.id", "2|3\n3|NULL"},
		{"SELECT a.id FROM people AS a INNER JOIN people AS b ON a.id = b.id AND b.age > 30", "2"},
		{"SELECT id FROM people AS p WHERE EXISTS (SELECT 1 FROM people AS q WHERE q.id = p.id + 1) AND id NOT IN (SELECT 2)", "1"},
		{"SELECT id FROM people WHERE age NOT IN (SELECT age FROM people)", ""},
		{"WITH old (n, a) AS (SELECT name, age FROM people WHERE age > 35) SELECT n FROM old UNION ALL SELECT N'x' ORDER BY n", "bob\nx"},
		{"SELECT 1 UNION SELECT 1 UNION SELECT 2; SELECT 1 EXCEPT SELECT 1; SELECT 3 INTERSECT SELECT 3", "1\n2\n3"},
		{"SELECT s.a, s.b FROM (VALUES (1, N'x'), (2, NULL)) AS s (a, b) CROSS APPLY (SELECT 1 AS one WHERE s.a = 2) AS q", "2|NULL"},
		{"SELECT * FROM OPENJSON(N'[[1,\"a\"],[2,null]]') WITH (n int '$[0]', s nvarchar(10) '$[1]')", "1|a\n2|NULL"},
		{"SELECT JSON_VALUE(N'{\"a\":{\"b\":[1,2]}}', '$.a.b[1]'), JSON_QUERY(N'{\"a\":{\"b\":[1,2]}}', '$.a.b'), ISJSON(N'{')", "2|[1,2]|0"},
		{"INSERT INTO people (id, name) OUTPUT inserted.id, inserted.age VALUES (4, N'Di'), (5, N'Ed'); SELECT @@ROWCOUNT", "4|NULL\n5|NULL\n(2)\n2"},
		{"UPDATE people SET age = id, name = name + N'!' OUTPUT deleted.age, inserted.name WHERE id < 3", "30|Ann!\n40|bob!\n(2)"},
		{"UPDATE p SET age += m.by_ FROM people AS p INNER JOIN (VALUES (1, 5), (1, 6), (9, 9)) AS m (id, by_) ON p.id = m.id; SELECT age FROM people WHERE id = 1", "(1)\n35"},
		{"UPDATE people SET id = 3 - id WHERE id < 3; SELECT name FROM people WHERE id = 1", "(2)\nbob"},
		{"UPDATE people SET id = id + 1; SELECT id FROM people WHERE name = N'Cy'; SELECT name FROM people WHERE id = 2", "(3)\n4\nAnn"},
		{"UPDATE people SET id = 3 WHERE id < 3", "error 2627 class 14 state 1 line 1"},
		{"DELETE FROM people OUTPUT deleted.name WHERE age > 35; SELECT COUNT(*) FROM people", "bob\n(1)\n2"},
		{"TRUNCATE TABLE people; SELECT COUNT(*) FROM people", "(0)\n0"},
		{`MERGE people AS t USING (SELECT 1 AS id, N'Ann2' AS name UNION ALL SELECT 7, N'Gil') AS s ON t.id = s.id
WHEN MATCHED THEN UPDATE SET name = s.name WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, s.name)
WHEN NOT MATCHED BY SOURCE AND t.age IS NULL THEN DELETE OUTPUT $action, inserted.id, deleted.id;`, "DELETE|NULL|3\nUPDATE|1|1\nINSERT|7|NULL\n(3)"},
		{"MERGE people AS t USING (SELECT 1 AS id UNION ALL SELECT 1) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET age = 1;", "error 8672 class 16 state 1 line 1"},
		{"MERGE people AS t USING (SELECT 8 AS id UNION ALL SELECT 8) AS s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, N'x');", "error 2627 class 14 state 1 line 1"},
		{"SELECT age INTO #copy FROM people; SELECT COUNT(*) FROM #copy", "3"},
		{"CREATE TABLE #i (a int IDENTITY(5, 2), b int DEFAULT 7); INSERT INTO #i DEFAULT VALUES; INSERT INTO #i (b) VALUES (DEFAULT); SELECT a, b FROM #i; SELECT SCOPE_IDENTITY()", "(1)\n(1)\n5|7\n7|7\n7"},
		{"DECLARE @t TABLE (a int); BEGIN TRAN; INSERT INTO @t VALUES (1); INSERT INTO people VALUES (9, N'x', 1); ROLLBACK; SELECT (SELECT COUNT(*) FROM @t), (SELECT COUNT(*) FROM people)", "begun\n(1)\n(1)\nrolled back\n1|3"},
		{"BEGIN TRAN; DELETE people; SAVE TRAN s; INSERT INTO people VALUES (1, N'x', 1); ROLLBACK TRAN s; SELECT COUNT(*) FROM people; ROLLBACK; SELECT COUNT(*) FROM people", "begun\n(3)\n(1)\n0\nrolled back\n3"},
		{"BEGIN TRAN; BEGIN TRAN; SELECT @@TRANCOUNT; COMMIT; SELECT @@TRANCOUNT; COMMIT", "begun\n2\n1\ncommitted"},
		{"DECLARE @i int = 0, @s nvarchar(10) = N''; WHILE @i < 5 BEGIN SET @i += 1; IF @i = 2 CONTINUE; IF @i = 4 BREAK; SELECT @s += CAST(@i AS nvarchar(2)); END; SELECT @s", "13"},
		{"DECLARE @n int; SELECT @n = ISNULL(@n, 0) + id FROM people; SELECT @n, @@ROWCOUNT", "6|3"},
		{"BEGIN TRY INSERT INTO people VALUES (1, N'x', 1) END TRY BEGIN CATCH SELECT ERROR_NUMBER(), ERROR_LINE(), XACT_STATE() END CATCH", "2627|1|0"},
		{"SET XACT_ABORT ON; BEGIN TRAN; BEGIN TRY SELECT 1/0 END TRY BEGIN CATCH SELECT XACT_STATE(); DELETE people END CATCH", "begun\n-1\nerror 3930 class 16 state 1 line 1\nrolled back"},
		{"EXEC(N'SELECT 5'); EXEC sp_executesql N'SELECT @a + @b', N'@a int, @b int = 4', 3; DECLARE @o int; EXEC sp_executesql N'SET @x = 9', N'@x int OUTPUT', @x = @o OUTPUT; SELECT @o", "5\n7\n9"},
		{"EXEC sp_executesql N'CREATE TABLE #inner (a int)'; SELECT * FROM #inner", "error 208 class 16 state 1 line 1"},
		{"PRINT N'hello'; RAISERROR(N'n is %d', 10, 1, 5); RAISERROR(N'bad', 16, 3); SELECT 1", "info hello\ninfo n is 5\nerror 50000 class 16 state 3 line 1\n1"},
		{"SELECT 1;\nTHROW 51000, N'x', 4; SELECT 2", "1\nerror 51000 class 16 state 4 line 2"},
		{"CREATE TABLE #c (a nvarchar(5) COLLATE Latin1_General_100_BIN2 PRIMARY KEY); INSERT INTO #c VALUES (N'a'), (N'A'); SELECT a FROM #c WHERE a = N'A'", "(2)\nA"},
		{"CREATE TABLE c (a int NULL, CONSTRAINT positive CHECK (a > 0)); INSERT INTO c VALUES (NULL), (1); INSERT INTO c VALUES (0)", "(2)\nerror 547 class 16 state 1 line 1"},
		{"SELECT name, is_unique FROM sys.indexes WHERE object_id = OBJECT_ID(N'people') AND is_primary_key = 0", "named|1"},
	} {
		s := session(t, New(func() time.Time { return clock }, "d"))
		ask(t, s, people)
		if got := ask(t, s, tt.text); got != tt.want {
			t.Errorf("%s\n got: %q\nwant: %q", tt.text, got, tt.want)
		}
	}
}

// TestErrors are numbers that clients look at, and whether a transaction and
// the rest of the batch live on.
func TestErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text   string
		number int
		batch  bool // goes on
		tx     bool // lives on
	}{
		{"INSERT INTO people VALUES (1, N'x', 1)", 2627, true, true},
		{"INSERT INTO people VALUES (5, N'ANN', 1)", 2627, true, true},
		{"INSERT INTO people VALUES (5, N'x', 1), (5, N'y', 2)", 2627, true, true},
		{"INSERT INTO people VALUES (5, NULL, 1)", 515, true, true},
		{"INSERT INTO people VALUES (5, N'longer than ten', 1)", 2628, true, true},
		{"SELECT 1 / 0", 8134, true, true}, {"SELECT CAST(300 AS tinyint)", 220, true, true},
		{"SELECT 2147483647 + 1", 8115, true, true}, {"SELECT (SELECT id FROM people)", 512, true, true},
		{"SELECT CAST(N'x' AS int)", 245, false, false}, {"SELECT CAST(N'x' AS date)", 241, false, false},
		{"SELECT CAST(N'x' AS uniqueidentifier)", 8169, false, false}, {"SELECT CAST(N'x' AS float)", 8114, false, false},
		{"SELECT * FROM nowhere", 208, false, true}, {"SELECT nothing FROM people", 207, false, true},
		{"SELECT p.nothing FROM people AS q", 4104, false, true}, {"SELECT id FROM people AS a, people AS b", 209, false, true},
		{"SELECT @nothing", 137, false, true}, {"EXEC nowhere", 2812, false, true}, {"SELECT name FROM people GROUP BY id", 8120, false, true},
		{"INSERT INTO people (id) SELECT 1, 2", 121, false, true}, {"INSERT INTO people (id, name) VALUES (1)", 109, false, true},
		{"SELECT 1 UNION SELECT 1, 2", 205, false, true}, {"SELECT ROW_NUMBER() OVER (ORDER BY id) FROM people", unsupportedNumber, false, true},
		{"CREATE TABLE people (a int)", 2714, true, true}, {"DROP TABLE nowhere", 3701, true, true},
		{"SELECT FROM WHERE", 102, false, true}, {"THROW 50001, N'x', 1", 50001, false, true}, {"RAISERROR(N'x', 16, 1)", 50000, true, true},
		{"INSERT INTO people VALUES (1, N'x')", 109, false, true}, {"UPDATE people SET age = N'x'", 245, false, false},
	} {
		for _, abort := range []bool{false, true} {
			s := session(t, New(nil, "d"))
			ask(t, s, people)
			if abort {
				ask(t, s, "SET XACT_ABORT ON")
			}
			ask(t, s, "BEGIN TRAN; INSERT INTO people VALUES (100, N'before', 1)")
			got := ask(t, s, tt.text+"; SELECT N'goes on'")
			wantBatch, wantTx := tt.batch, tt.tx
			if abort && tt.number != 50000 {
				wantBatch, wantTx = false, tt.number == 102 // which was never run
			}
			if !strings.HasPrefix(got, fmt.Sprintf("error %d ", tt.number)) || strings.Contains(got, "goes on") != wantBatch || (s.Descriptor() != 0) != wantTx {
				t.Errorf("%s, XACT_ABORT %v: %q, transaction lives %v", tt.text, abort, got, s.Descriptor() != 0)
			}
		}
	}
	s := session(t, New(nil, "d"))
	if got := ask(t, s, "COMMIT"); !strings.HasPrefix(got, "error 3902 ") {
		t.Error(got)
	}
	if got := ask(t, s, "ROLLBACK"); !strings.HasPrefix(got, "error 3903 ") {
		t.Error(got)
	}
	if got := ask(t, s, "SELECT 1; CREATE SCHEMA x"); !strings.HasPrefix(got, "error 111 ") {
		t.Error(got)
	}
}

func TestLocks(t *testing.T) {
	t.Parallel()
	e := New(nil, "d")
	a, b := session(t, e), session(t, e)
	ask(t, a, people)
	ask(t, a, "BEGIN TRAN; UPDATE people SET age = 1 WHERE id = 1")
	for _, text := range []string{"SELECT age FROM people WHERE id = 2", "UPDATE people SET age = 2"} {
		if got := ask(t, b, "SET LOCK_TIMEOUT 20; "+text); !strings.HasPrefix(got, "error 1222 ") {
			t.Errorf("%s while another writes: %q", text, got)
		}
	}
	if got := ask(t, b, "SELECT 1 AS a INTO #own; INSERT INTO #own VALUES (2); SELECT a FROM #own"); got != "(1)\n1\n2" {
		t.Errorf("a temporary table while another writes: %q", got)
	}
	ask(t, b, "SET LOCK_TIMEOUT -1")
	done := make(chan string)
	go func() {
		var out transcript
		_ = b.Batch(t.Context(), "UPDATE people SET age += 1 OUTPUT inserted.age WHERE id = 1", &out)
		done <- strings.Join(out.lines, "\n")
	}()
	ask(t, a, "UPDATE people SET age = 10 WHERE id = 1; COMMIT")
	if got := <-done; got != "11\n(1)" {
		t.Errorf("after the commit that it waited for: %q", got)
	}
}

func TestApplicationLocks(t *testing.T) {
	t.Parallel()
	e := New(nil, "d")
	a, b := session(t, e), session(t, e)
	const lock = "DECLARE @r int; EXEC @r = sp_getapplock @Resource = N'%s', @LockMode = N'Exclusive', @LockTimeout = %d; SELECT @r"
	ask(t, a, "BEGIN TRAN")
	ask(t, b, "BEGIN TRAN")
	for i, want := range []string{"0", "0"} { // twice by the same one
		if got := ask(t, a, fmt.Sprintf(lock, "x", 0)); got != want {
			t.Errorf("%d: %q", i, got)
		}
	}
	if got := ask(t, b, fmt.Sprintf(lock, "x", 0)); got != "-1" {
		t.Errorf("held by another: %q", got)
	}
	if got := ask(t, b, fmt.Sprintf(lock, "y", 0)); got != "0" {
		t.Error(got)
	}
	done := make(chan string)
	go func() {
		var out transcript
		_ = a.Batch(t.Context(), fmt.Sprintf(lock, "y", -1), &out)
		done <- strings.Join(out.lines, "\n")
	}()
	for waits := false; !waits; time.Sleep(time.Millisecond) {
		e.locks.mu.Lock()
		waits = a.waiting != nil
		e.locks.mu.Unlock()
	}
	if got := ask(t, b, fmt.Sprintf(lock, "x", -1)); got != "-3" {
		t.Errorf("a deadlock: %q", got)
	}
	ask(t, b, "ROLLBACK")
	if got := <-done; got != "0" {
		t.Errorf("after the other is gone: %q", got)
	}
}
