package sqldb

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"millrace/connector"
	"millrace/connector/internal/duckread"
	"millrace/record"
)

// binaryResult asks for all columns in PostgreSQL's binary format, textResult
// for text, which the server itself writes as people know it.
var (
	binaryResult = pgx.QueryResultFormats{pgx.BinaryFormatCode}
	textResult   = pgx.QueryResultFormats{pgx.TextFormatCode}
)

// scan streams the table through one connection.
func (p *postgres) scan(ctx context.Context, emit func(*page) error) error {
	rows, err := p.pool.Query(ctx, p.sql["scan"], binaryResult)
	if err != nil {
		return p.classify("reading "+p.describe(), err)
	}
	defer rows.Close()
	pg := newPage()
	for rows.Next() {
		if err := pg.fromPostgres(rows.RawValues()); err != nil {
			return fmt.Errorf("reading %s: %w", p.describe(), err)
		}
		if len(pg.rows) == pageRows {
			if err := emit(pg); err != nil {
				return err
			}
			pg = newPage()
		}
	}
	if err := rows.Err(); err != nil {
		return p.classify("reading "+p.describe(), err)
	}
	return emit(pg)
}

// fromPostgres appends a row of the statement `scan`. The values are valid
// only until the next row is read.
func (p *page) fromPostgres(v [][]byte) error {
	for i, size := range [...]int{0: 16, 2: 8, 6: 8, 9: 8, 10: 4, 11: 8} {
		if size != 0 && len(v[i]) != size {
			return fmt.Errorf("column %d holds %d bytes instead of %d", i+1, len(v[i]), size)
		}
	}
	r := p.next()
	e := &r.event
	copy(e.ID[:], v[0])
	e.DeviceID = p.optional(v[1])
	e.Sequence = int64(binary.BigEndian.Uint64(v[2]))
	e.Type = p.optional(v[3])
	if e.HasValue = len(v[4]) == 8; e.HasValue {
		e.Value = math.Float64frombits(binary.BigEndian.Uint64(v[4]))
	}
	e.ComplexData = p.optional(v[5])
	e.CreatedAt = postgresTime(v[6])
	r.EnqueuedAt = postgresTime(v[7])
	r.ProcessedAt = postgresTime(v[8])
	r.StoredAt = postgresTime(v[9])
	r.Partition = int32(binary.BigEndian.Uint32(v[10]))
	r.Offset = int64(binary.BigEndian.Uint64(v[11]))
	e.Extra = members(p.optional(v[12]))
	return nil
}

// optional keeps a text that may be NULL.
func (p *page) optional(b []byte) []byte {
	if b == nil {
		return nil
	}
	return p.keep(b)
}

func postgresTime(b []byte) int64 {
	if len(b) != 8 {
		return record.NoTime
	}
	return int64(binary.BigEndian.Uint64(b)) + postgresEpoch
}

func (p *postgres) query(ctx context.Context, text string) (connector.Rows, error) {
	const doing = "running the query"
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return nil, p.classify(doing, err)
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		conn.Release()
		return nil, p.classify(doing, err)
	}
	q := &postgresRows{conn: conn, tx: tx}
	if err := p.queryIn(ctx, q, text); err != nil {
		return nil, errors.Join(p.classify(doing, err), q.Close())
	}
	return q, nil
}

func (p *postgres) queryIn(ctx context.Context, q *postgresRows, text string) error {
	var before []string
	if !p.names.plainTable() {
		before = append(before, "view")
	}
	if err := p.exec(ctx, q.tx, append(before, "readOnly")...); err != nil {
		return err
	}
	// What has no columns does not read. A COMMIT among it would end the very
	// transaction that protects the tables.
	described, err := q.tx.Conn().Prepare(ctx, "", text)
	var e *pgconn.PgError
	if errors.As(err, &e) && e.Code == "42601" && e.Routine == "exec_parse_message" {
		return duckread.ErrOnlyReads // several statements; the text of the error may be in any language
	}
	if err != nil {
		return err
	}
	if len(described.Fields) == 0 {
		return duckread.ErrOnlyReads
	}
	rows, err := q.tx.Query(ctx, text, pgx.QueryExecModeDescribeExec, textResult)
	if err != nil {
		return err
	}
	q.rows = rows
	// An error of the statement itself shows with its first row.
	q.more = rows.Next()
	if err := rows.Err(); err != nil {
		return err
	}
	q.fields = rows.FieldDescriptions()
	for _, f := range q.fields {
		q.columns = append(q.columns, f.Name)
	}
	return nil
}

// postgresRows are a query's rows, in a transaction that only reads.
type postgresRows struct {
	conn    *pgxpool.Conn
	tx      pgx.Tx
	rows    pgx.Rows
	fields  []pgconn.FieldDescription
	columns []string
	more    bool // rows stands on a row that was not handed over yet
}

func (q *postgresRows) Columns() []string { return q.columns }

func (q *postgresRows) Next(ctx context.Context) ([]any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !q.more {
		if err := q.rows.Err(); err != nil {
			return nil, fmt.Errorf("reading the query's rows: %w", err)
		}
		return nil, io.EOF
	}
	raw := q.rows.RawValues()
	out := make([]any, len(raw))
	for i, v := range raw {
		out[i] = plainPostgres(v, q.fields[i].DataTypeOID)
	}
	q.more = q.rows.Next()
	return out, nil
}

func (q *postgresRows) Close() error {
	if q.rows != nil {
		q.rows.Close()
	}
	// Nothing was written; what counts is that the session is clean.
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
	defer stop()
	err := q.tx.Rollback(ctx)
	q.conn.Release()
	if err != nil && !errors.Is(err, pgx.ErrTxClosed) {
		return fmt.Errorf("ending the query: %w", err)
	}
	return nil
}

// plainPostgres makes one of the types that connector.Rows allows of a
// value's text. What is none of them stays as the server wrote it.
func plainPostgres(raw []byte, oid uint32) any {
	if raw == nil {
		return nil
	}
	text := string(raw)
	switch oid {
	case pgtype.BoolOID:
		return text == "t"
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID:
		if v, err := strconv.ParseInt(text, 10, 64); err == nil {
			return v
		}
	case pgtype.Float4OID, pgtype.Float8OID:
		if v, err := strconv.ParseFloat(text, 64); err == nil {
			return v
		}
	case pgtype.NumericOID:
		// count and sum of integers are whole numbers of this type.
		if v, ok := new(big.Int).SetString(text, 10); ok {
			if v.IsInt64() {
				return v.Int64()
			}
			return text
		}
		if v, err := strconv.ParseFloat(text, 64); err == nil {
			return v
		}
	case pgtype.ByteaOID:
		if v, err := hex.DecodeString(text[min(2, len(text)):]); err == nil {
			return v
		}
	case pgtype.TimestamptzOID:
		if v, err := time.Parse("2006-01-02 15:04:05.999999Z07", text); err == nil {
			return v.UTC()
		}
	case pgtype.TimestampOID:
		if v, err := time.Parse("2006-01-02 15:04:05.999999", text); err == nil {
			return v
		}
	case pgtype.DateOID:
		if v, err := time.Parse(time.DateOnly, text); err == nil {
			return v
		}
	}
	return text
}
