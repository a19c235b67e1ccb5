package sqldb

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	mssql "github.com/microsoft/go-mssqldb"

	"millrace/connector"
	"millrace/record"
)

// stagedNames are the columns of #millrace_staging, in the order of a row's
// values.
var stagedNames = []string{"eventId", "deviceId", "deviceSequenceNumber", "type", "value", "complexData",
	"createdAt", "enqueuedAt", "processedAt", "partitionId", "logOffset", "extra"}

// staged says what was loaded.
type staged struct {
	// results were given, rows of them were sent: the others repeat an event.
	results, rows int
	// bytes is about what went over the wire.
	bytes int64
}

// stage loads results into a new #millrace_staging of the session. An event
// that the results hold twice is loaded once, its first copy: of two rows with
// one key, MERGE inserts both.
func (s *sqlServer) stage(ctx context.Context, conn *sql.Conn, results []record.Result) (staged, error) {
	// Not one row is sent if any cannot be: an error in the middle of a load
	// costs the connection.
	for i := range results {
		if err := s.fits(&results[i]); err != nil {
			return staged{}, &refusedError{err}
		}
	}
	if err := s.exec(ctx, conn, "createStaging"); err != nil {
		return staged{}, err
	}
	var out staged
	err := conn.Raw(func(c any) (err error) {
		out, err = copyRows(ctx, c.(*mssql.Conn), results)
		return err
	})
	return out, err
}

// eventKey is what rows are merged by.
type eventKey struct {
	id        record.ID
	partition int32
}

func copyRows(ctx context.Context, c *mssql.Conn, results []record.Result) (staged, error) {
	bulk := c.CreateBulkContext(ctx, "#millrace_staging", stagedNames)
	bulk.Options = mssql.BulkOptions{Tablock: true, RowsPerBatch: len(results)}
	seen := make(map[eventKey]struct{}, len(results))
	out := staged{results: len(results)}
	var enc rowEncoder
	for i := range results {
		r := &results[i]
		key := eventKey{r.ID, r.Partition}
		if _, twice := seen[key]; twice {
			continue
		}
		seen[key] = struct{}{}
		if i%512 == 0 && ctx.Err() != nil {
			return out, ctx.Err() // the driver only looks when it reads
		}
		out.rows++
		if err := bulk.AddRow(enc.encode(r)); err != nil {
			return out, err
		}
		out.bytes += enc.bytes
	}
	n, err := bulk.Done()
	if err == nil && n != int64(out.rows) {
		return out, connector.Retryable(fmt.Errorf("the server has taken %d rows of %d", n, out.rows), 0)
	}
	return out, err
}

// rowEncoder makes a row's values as the driver takes them, in memory that the
// next row uses again: the driver copies at once.
type rowEncoder struct {
	values [12]any
	id     [16]byte
	extra  []byte
	text   []byte
	bytes  int64
}

// fixedWire is about what the columns of fixed size take of a row.
const fixedWire = 80

func (e *rowEncoder) encode(r *record.Result) []any {
	if e.text == nil {
		e.text = make([]byte, 0, 4<<10) // an empty text is not NULL
	}
	e.text, e.id, e.bytes = e.text[:0], guid(r.ID), fixedWire
	v := &e.values
	v[0] = e.id[:]
	v[1] = e.utf16(r.DeviceID, false)
	v[2] = r.Sequence
	v[3] = e.utf16(r.Type, r.Type == nil)
	odd := r.HasValue && !plainDouble(r.Value)
	v[4] = nil
	if r.HasValue && !odd {
		v[4] = r.Value
	}
	v[5] = e.utf16(r.ComplexData, r.ComplexData == nil)
	v[6], v[7], v[8] = serverTime(r.CreatedAt), serverTime(r.EnqueuedAt), serverTime(r.ProcessedAt)
	v[9], v[10] = int64(r.Partition), r.Offset
	v[11] = e.utf16(e.members(r, odd), r.Extra == nil && !odd)
	return v[:]
}

// members is the column extra: one object of the members without a column, and
// of a value that its column cannot give back.
func (e *rowEncoder) members(r *record.Result, odd bool) []byte {
	e.extra = append(append(e.extra[:0], '{'), r.Extra...)
	if odd {
		if len(r.Extra) > 0 {
			e.extra = append(e.extra, ',')
		}
		e.extra = strconv.AppendFloat(append(e.extra, `"value":`...), r.Value, 'g', -1, 64)
	}
	e.extra = append(e.extra, '}')
	return e.extra
}

// utf16 makes UTF-16 of a valid UTF-8 text.
func (e *rowEncoder) utf16(text []byte, null bool) any {
	if null {
		return nil
	}
	// One byte becomes two, several never become more than twice as many. If
	// this grows, the row's earlier texts stay where they are.
	e.text = slices.Grow(e.text, 2*len(text))
	start := len(e.text)
	out, n := e.text[start:start+2*len(text)], 0
	for i := 0; i < len(text); {
		// Four ASCII characters at once, which is nearly all of JSON.
		if i+4 <= len(text) {
			if four := binary.LittleEndian.Uint32(text[i:]); four&0x80808080 == 0 {
				wide := uint64(four)
				wide = (wide | wide<<16) & 0x0000ffff0000ffff
				wide = (wide | wide<<8) & 0x00ff00ff00ff00ff
				binary.LittleEndian.PutUint64(out[n:], wide)
				n, i = n+8, i+4
				continue
			}
		}
		c, size := rune(text[i]), 1
		if c >= utf8.RuneSelf {
			c, size = utf8.DecodeRune(text[i:])
			if hi, lo := utf16.EncodeRune(c); hi != utf8.RuneError {
				out[n], out[n+1] = byte(hi), byte(hi>>8)
				n, c = n+2, lo
			}
		}
		out[n], out[n+1] = byte(c), byte(c>>8)
		n, i = n+2, i+size
	}
	e.text = e.text[:start+n]
	e.bytes += int64(n)
	return e.text[start : start+n : start+n]
}

// guid is an ID in the order of bytes that SQL Server has for it: the first
// three groups are numbers, lowest byte first.
func guid(id record.ID) [16]byte {
	return [16]byte{id[3], id[2], id[1], id[0], id[5], id[4], id[7], id[6],
		id[8], id[9], id[10], id[11], id[12], id[13], id[14], id[15]}
}

// plainDouble tells the values that a float gives back for certain. The
// documented range of SQL Server's float leaves out denormalized numbers, and
// nothing is said about the sign of a zero: these go as text into extra.
func plainDouble(v float64) bool {
	if v == 0 {
		return !math.Signbit(v)
	}
	const smallestNormal = 0x1p-1022
	return math.Abs(v) >= smallestNormal
}

// What a datetime2 holds: the years 1 to 9999, in microseconds.
var (
	earliest = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	latest   = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro() - 1
)

func serverTime(micros int64) any {
	if micros == record.NoTime {
		return nil
	}
	return time.UnixMicro(micros).UTC()
}

// fits checks what the server would refuse, or what the driver would garble
// on the way.
func (s *sqlServer) fits(r *record.Result) error {
	for _, t := range [...]struct {
		name   string
		micros int64
		need   bool
	}{{"createdAt", r.CreatedAt, true}, {"enqueuedAt", r.EnqueuedAt, false}, {"processedAt", r.ProcessedAt, false}} {
		if t.micros == record.NoTime && !t.need {
			continue
		}
		if t.micros < earliest || t.micros > latest {
			return fmt.Errorf("%s of event %s is outside of the years 1 to 9999, which SQL Server's times have", t.name, r.ID)
		}
	}
	texts := 0 // no bound
	if s.names.Layout == Warehouse {
		texts = mostWarehouseText
	}
	for _, t := range [...]struct {
		name string
		text []byte
		most int
	}{{"deviceId", r.DeviceID, mostName}, {"type", r.Type, mostName}, {"complexData", r.ComplexData, texts}, {"extra", r.Extra, texts - len("{}")}} {
		if t.most <= 0 || len(t.text) <= t.most {
			continue // there are never more characters than bytes
		}
		if n := units(t.text); n > t.most {
			return fmt.Errorf("%s of event %s has %d characters, its column takes %d", t.name, r.ID, n, t.most)
		}
	}
	return nil
}

// units is how many characters of UTF-16 a valid UTF-8 text has: characters
// beyond the first 65,536 count twice.
func units(text []byte) (n int) {
	for _, c := range text {
		if c < 0x80 || c >= 0xc0 {
			n++
		}
		if c >= 0xf0 {
			n++
		}
	}
	return n
}
