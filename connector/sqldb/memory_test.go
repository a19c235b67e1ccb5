package sqldb_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"millrace/connector"
	"millrace/connector/connectortest"
	"millrace/connector/sqldb"
	"millrace/record"
)

// memoryDir names the data folder to the child process that runs out of memory:
// if that went wrong, it would take the tests with it.
const memoryDir = "MILLRACE_TEST_SQLDB_MEMORY"

// exhaustMemory writes more and more to a database with as little memory as it
// may have.
func exhaustMemory(dir string) error {
	ctx := context.Background()
	c := sqldb.NewConfig()
	c.MemoryLimit = 64 << 20
	c.Checkpoint = 1 << 30 // none before the end
	s, err := c.Open(ctx, connectortest.Env(dir, ""))
	if err != nil {
		return err
	}
	if err := s.Prepare(ctx); err != nil {
		return err
	}
	if _, err := s.Claim(ctx, "child", []int32{0}); err != nil {
		return err
	}
	at := int64(0)
	write := func(rows, size int) error {
		r, err := s.Write(ctx, large(at, rows, size))
		if err == nil {
			if r.Stored != rows || r.Duplicates != 0 {
				return fmt.Errorf("a write of %d rows says %+v", rows, r)
			}
			at += int64(rows)
		}
		return err
	}
	// Too much for one piece.
	for range 3 {
		if err := write(2000, 16<<10); err != nil {
			return fmt.Errorf("a write that fits in pieces: %w", err)
		}
	}
	// Too much whatever is done: a vector of DuckDB's is more than its memory.
	for range 3 {
		if err := refusal(write(2048, 128<<10)); err != nil {
			return err
		}
		// Nothing of it is there, and others go on.
		if err := write(100, 1<<10); err != nil {
			return fmt.Errorf("a small write: %w", err)
		}
	}
	// Each write fits; the table in memory, or at last the checkpoint, does not.
	for range 21 {
		if err = write(100, 64<<10); err != nil {
			break
		}
	}
	for _, err := range []error{err, s.Close()} {
		if err == nil {
			continue
		}
		if err := refusal(err); err != nil {
			return err
		}
	}
	fmt.Println("stored", at)
	return nil
}

// refusal checks that an error is one sentence, a hint, and not to be retried.
func refusal(err error) error {
	var h *connector.Hinted
	if !errors.As(err, &h) || connector.ActionOf(err) != connector.Fail || !strings.Contains(h.Hint, "memoryLimit") ||
		!strings.HasPrefix(err.Error(), "DuckDB has no memory left while ") || strings.Contains(err.Error(), "\n") {
		return fmt.Errorf("without memory it says (%T) %w", err, err)
	}
	return nil
}

// large makes a write of rows whose text has size bytes.
func large(from int64, rows, size int) *connector.Write {
	text := []byte(`{"a":"` + strings.Repeat("x", size) + `"}`)
	w := &connector.Write{Advances: []connector.Advance{{Partition: 0, From: from, To: from + int64(rows)}}}
	for i := range int64(rows) {
		r := record.Result{Offset: from + i, EnqueuedAt: 1, ProcessedAt: 2}
		r.DeviceID, r.Sequence, r.ComplexData, r.CreatedAt = []byte("d"), from+i, text, 1
		binary.BigEndian.PutUint64(r.ID[:], uint64(r.Offset))
		w.Results = append(w.Results, r)
	}
	return w
}

// TestDuckDBMemory: exhausted memory is an error that says what to do, not the
// end of the process; what was stored is there, once.
func TestDuckDBMemory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), memoryDir+"="+dir)
	out, err := cmd.CombinedOutput()
	stored := int64(0)
	if _, scanned := fmt.Sscanf(string(out), "stored %d", &stored); err != nil || scanned != nil {
		t.Fatalf("the child ended with %v: %.3000s", err, out)
	}
	c := sqldb.NewConfig()
	c.MemoryLimit = 1 << 30
	s := open(t, c, connectortest.Env(dir, ""))
	defer s.Close()
	positions, err := s.Claim(t.Context(), "parent", []int32{0})
	if err != nil || positions[0] != stored {
		t.Errorf("the position is %d, %d was acknowledged (%v)", positions[0], stored, err)
	}
	rows, err := all(t.Context(), s, "SELECT count(*), count(DISTINCT eventId), coalesce(max(logOffset) + 1, 0), count(DISTINCT logOffset) FROM events")
	if err != nil || fmt.Sprint(rows) != fmt.Sprintf("[[%[1]d %[1]d %[1]d %[1]d]]", stored) {
		t.Errorf("rows %v, %d were acknowledged (%v)", rows, stored, err)
	}
}
