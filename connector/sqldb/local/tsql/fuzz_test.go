package tsql

import (
	"context"
	"errors"
	"testing"
	"time"

	"millrace/connector/sqldb/local/value"
)

// seeds are statements of every kind; the fuzzer begins with them.
var seeds = []string{
	"SELECT a, b FROM t WHERE a = 1 ORDER BY b DESC",
	"SELECT COUNT(*), SUM(a) FROM t GROUP BY b HAVING COUNT(*) > 1",
	"SELECT TOP (3) t.a, u.b FROM t INNER JOIN t AS u ON t.a = u.a LEFT JOIN t AS v ON v.a = u.a + 1",
	"INSERT INTO t (a, b) OUTPUT inserted.* VALUES (9, N'x'), (10, NULL)",
	"UPDATE t SET b = b + N'y' OUTPUT deleted.a WHERE a IN (SELECT a FROM t)",
	"DELETE FROM t WHERE NOT EXISTS (SELECT 1 FROM t AS u WHERE u.a = t.a + 1)",
	"MERGE INTO t USING (VALUES (1, N'z')) AS s (a, b) ON t.a = s.a WHEN MATCHED THEN UPDATE SET b = s.b WHEN NOT MATCHED THEN INSERT (a, b) VALUES (s.a, s.b) OUTPUT $action;",
	"CREATE TABLE #x (i int IDENTITY(1,1) PRIMARY KEY, d decimal(10,2) DEFAULT 1.5 CHECK (d > 0), INDEX c CLUSTERED COLUMNSTORE)",
	"DECLARE @i int = 3; WHILE @i > 0 BEGIN SET @i -= 1; IF @i = 1 BREAK; END; SELECT @i",
	"BEGIN TRY SELECT 1/0 END TRY BEGIN CATCH SELECT ERROR_NUMBER(); THROW END CATCH",
	"SELECT * FROM OPENJSON(N'[{\"a\":1},{\"a\":null}]') WITH (a int '$.a', raw nvarchar(max) '$' AS JSON)",
	"EXEC sp_executesql N'SELECT @p', N'@p int', @p = 5",
	"WITH c AS (SELECT a FROM t UNION ALL SELECT 2) SELECT * FROM c EXCEPT SELECT 1",
	"SELECT CAST('2026-01-02' AS datetime2(3)), CONVERT(varchar(30), SYSUTCDATETIME(), 126), DATEDIFF(day, '2026-01-01', '2026-02-01')",
	"BEGIN TRANSACTION; SAVE TRANSACTION s; DELETE t; ROLLBACK TRANSACTION s; COMMIT",
	"ALTER TABLE t ADD c int NOT NULL DEFAULT 4; ALTER TABLE t DROP COLUMN c",
	"SELECT CASE WHEN a LIKE '%[a-c]_' ESCAPE '!' THEN 1.50 ELSE $3 END FROM t WHERE b BETWEEN 'a' AND 'b'",
	"SET FMTONLY ON", "SELECT * FROM sys.columns AS c INNER JOIN sys.types AS t ON t.user_type_id = c.user_type_id",
}

// checker fails the test at errors that say that the server has failed.
type checker struct {
	discard
	t *testing.T
}

func (c checker) Error(e *value.Error) error {
	if e.Number == failedNumber {
		c.t.Error(e.Message)
	}
	return nil
}

// FuzzBatch: whatever a client sends ends, with an error of SQL or without
// one, and leaves a session that can go on.
func FuzzBatch(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 2000 {
			return
		}
		e := New(nil, "d")
		s, failed := e.Session("d", "sa")
		if failed != nil {
			t.Fatal(failed)
		}
		defer s.Close()
		ctx := context.Background()
		if err := s.Batch(ctx, "CREATE TABLE t (a int PRIMARY KEY, b nvarchar(10)); INSERT INTO t VALUES (1, N'a'), (2, N'b'), (3, NULL)", discard{}); err != nil {
			t.Fatal(err)
		}
		limited, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := s.Batch(limited, text, checker{t: t}); err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			t.Fatalf("%q: %v", text, err)
		}
		s.Reset(false)
		if s.Descriptor() != 0 {
			t.Fatalf("%q leaves a transaction", text)
		}
		other, _ := e.Session("d", "sa")
		defer other.Close()
		if err := other.Batch(limited, "SELECT 1", discard{}); err != nil && limited.Err() == nil {
			t.Fatalf("after %q: %v", text, err)
		}
	})
}
