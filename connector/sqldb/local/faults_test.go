package local_test

import (
	"context"
	"errors"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/connector/sqldb/local"
)

func TestFaults(t *testing.T) {
	t.Parallel()
	s, db := start(t, local.Options{})
	exec(t, db, "CREATE TABLE f (a int PRIMARY KEY)")
	remove := s.Inject(local.Fault{Match: regexp.MustCompile("INSERT"), Skip: 1, Times: 2, Error: 40501, Message: "busy"})
	for i, want := range []int32{0, 40501, 40501, 0} {
		_, err := db.ExecContext(t.Context(), "INSERT INTO f VALUES (@p1)", i)
		if number(err) != want || want == 0 && err != nil {
			t.Errorf("%d: want error %d, got %v", i, want, err)
		}
	}
	if n := remove(); n != 2 || s.Rows("f") != 2 {
		t.Errorf("%d requests were hit, %d rows", n, s.Rows("f"))
	}
	defer s.Inject(local.Fault{Match: regexp.MustCompile("^SELECT 'slow'"), Delay: time.Hour})()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := db.ExecContext(ctx, "SELECT 'slow'"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a delay that the client ends: %v", err)
	}
}

func TestLostConnections(t *testing.T) {
	t.Parallel()
	s, db := start(t, local.Options{})
	exec(t, db, "CREATE TABLE f (a int PRIMARY KEY)")
	for i, f := range []local.Fault{{DropBefore: true}, {DropAfter: true}} {
		f.Match = regexp.MustCompile("^COMMIT")
		remove := s.Inject(f)
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), "INSERT INTO f VALUES (@p1)", i); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err == nil {
			t.Errorf("%+v: a commit without an answer succeeds", f)
		}
		if n := remove(); n != 1 {
			t.Errorf("%d commits were hit", n)
		}
		// The next writer waits until the lost one is rolled back.
		var n int
		if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM f").Scan(&n); err != nil || n != i {
			t.Errorf("%+v: %d rows, %v", f, n, err)
		}
	}
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "INSERT INTO f VALUES (7)"); err != nil {
		t.Fatal(err)
	}
	s.Drop()
	if err := tx.Commit(); err == nil {
		t.Error("a commit over a lost connection succeeds")
	}
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM f").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
}

func TestDeadlockVictim(t *testing.T) {
	t.Parallel()
	s, db := start(t, local.Options{})
	exec(t, db, "CREATE TABLE f (a int)")
	defer s.Inject(local.Fault{Match: regexp.MustCompile("VALUES .2"), Error: 1205})()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "INSERT INTO f VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "INSERT INTO f VALUES (2)"); number(err) != 1205 {
		t.Error(err)
	}
	if err := tx.Commit(); err == nil {
		t.Error("the victim of a deadlock can commit")
	}
	if n := s.Rows("f"); n != 0 {
		t.Errorf("%d rows", n)
	}
}

// TestManyWriters: transactions of many connections add up.
func TestManyWriters(t *testing.T) {
	t.Parallel()
	_, db := start(t, local.Options{})
	exec(t, db, "CREATE TABLE total (n int); INSERT INTO total VALUES (0)")
	const workers, each = 8, 20
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				text := "UPDATE total SET n += 1"
				if w%2 == 0 {
					text = "SET XACT_ABORT ON; BEGIN TRANSACTION; DECLARE @n int; SELECT @n = n FROM total WITH (UPDLOCK); UPDATE total SET n = @n + 1; COMMIT"
				}
				if i%5 == 0 {
					text = strings.Replace(text, "COMMIT", "COMMIT; SELECT n FROM total", 1)
				}
				if _, err := db.ExecContext(t.Context(), text); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT n FROM total").Scan(&n); err != nil || n != workers*each {
		t.Errorf("%d of %d, %v", n, workers*each, err)
	}
}

// TestStrangers: bytes that are no TDS end their connection, not the server.
func TestStrangers(t *testing.T) {
	t.Parallel()
	s, db := start(t, local.Options{})
	for _, text := range []string{"\x12\x01\xFF\xFF\x00\x00\x00\x00", "\x47\x45\x00\x09\x00\x00\x00\x00\x00", "\x12\x01\x00\x08\x00\x00\x00\x00", "\x10\x01\x00\x09\x00\x00\x00\x00\x00", "\x16\x03\x01\x00\x05hello", ""} {
		c, err := net.Dial("tcp", s.HostPort())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(text)); err != nil {
			t.Error(err)
		}
		if text != "" {
			if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Errorf("%q is answered", text)
			}
		}
		c.Close()
	}
	if err := db.PingContext(t.Context()); err != nil {
		t.Error(err)
	}
}
