package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	_ "github.com/microsoft/go-mssqldb" // the driver "sqlserver"
	"golang.org/x/sync/errgroup"

	"millrace/connector"
	"millrace/connector/connectortest"
	"millrace/connector/sqldb"
	"millrace/connector/sqldb/local"
	"millrace/record"
)

// commits matches the request with which a write commits, by layout.
func commits(layout string) *regexp.Regexp {
	if layout == sqldb.Warehouse {
		return regexp.MustCompile(`^COMMIT TRANSACTION$`)
	}
	return regexp.MustCompile(`(?s)THROW 51726.*COMMIT TRANSACTION`)
}

// TestSQLServerFaults: whatever breaks once at whatever moment of a write, the
// caller is told to repeat it, and the repetition makes it happen once.
func TestSQLServerFaults(t *testing.T) {
	t.Parallel()
	bulkLoad, staging, begins := regexp.MustCompile("^BULK LOAD$"), regexp.MustCompile("CREATE TABLE #millrace_staging"), regexp.MustCompile("^INSERT BULK")
	for _, layout := range layouts {
		for name, f := range map[string]local.Fault{
			"the answer is lost":        {Match: commits(layout), DropAfter: true},
			"cut off before the commit": {Match: commits(layout), DropBefore: true},
			"a deadlock":                {Match: commits(layout), Error: 1205},
			"throttled":                 {Match: commits(layout), Error: 40501},
			"failed over":               {Match: commits(layout), Error: 40197},
			"not available":             {Match: staging, Error: 40613},
			"too many operations":       {Match: begins, Error: 49918},
			"cut off in the load":       {Match: bulkLoad, DropBefore: true},
			"the load's answer is lost": {Match: bulkLoad, DropAfter: true},
			"the load is a victim":      {Match: bulkLoad, Error: 1205},
			"cut off at the beginning":  {Match: staging, DropBefore: true},
		} {
			t.Run(layout+"/"+name, func(t *testing.T) {
				t.Parallel()
				server := tdsServer(t)
				s := serverStore(server.Address(), layout)(t)(t)
				defer s.Close()
				filled(t, s, 10)
				remove := server.Inject(f)
				w := connectortest.Stretch(0, 10, 60)
				_, err := s.Write(t.Context(), w)
				var e *connector.Error
				if !errors.As(err, &e) || e.Action != connector.Retry || strings.Contains(err.Error(), "\n") {
					t.Fatalf("the write ends with %v, want one to repeat", err)
				}
				if wantAfter := f.Error == 40501 || f.Error == 49918; (e.After > 0) != wantAfter {
					t.Errorf("to be repeated after %v", e.After)
				}
				if n := remove(); n != 1 {
					t.Errorf("%d requests were hit", n)
				}
				r, err := s.Write(t.Context(), w)
				if err != nil || r.Stored != 50 || r.Duplicates != 0 || r.StoredAt == 0 {
					t.Errorf("again: %+v %v", r, err)
				}
				connectortest.Exact(t, s, map[int32]int64{0: 60})
			})
		}
	}
}

// TestSQLServerErrors: what cannot be mended by trying again ends with a hint.
func TestSQLServerErrors(t *testing.T) {
	t.Parallel()
	for number, want := range map[int32]string{229: "right", 3906: "primary", 40544: "free some space", 208: "check table and schema"} {
		t.Run(fmt.Sprint(number), func(t *testing.T) {
			t.Parallel()
			server := tdsServer(t)
			s := serverStore(server.Address(), sqldb.Columnstore)(t)(t)
			defer s.Close()
			filled(t, s, 10)
			remove := server.Inject(local.Fault{Match: commits(sqldb.Columnstore), Error: number})
			_, err := s.Write(t.Context(), connectortest.Stretch(0, 10, 20))
			var h *connector.Hinted
			if connector.ActionOf(err) != connector.Fail || !errors.As(err, &h) || !strings.Contains(h.Hint, want) {
				t.Errorf("got %v", err)
			}
			remove()
			connectortest.Exact(t, s, map[int32]int64{0: 10})
		})
	}
}

// TestSQLServerNoDatabase: a name of a database that nobody knows ends the
// first call, whichever it is, with a hint; nothing waits for it.
func TestSQLServerNoDatabase(t *testing.T) {
	t.Parallel()
	server := tdsServer(t)
	for _, layout := range layouts {
		s := open(t, serverConfig(strings.Replace(server.Address(), "streaming", "steaming", 1), layout), connectortest.Env("", connectortest.NewRun()))
		defer s.Close()
		_, claim := s.Claim(t.Context(), "w", []int32{0})
		_, query := s.Query(t.Context(), "SELECT 1")
		for doing, err := range map[string]error{"Prepare": s.Prepare(t.Context()), "Claim": claim, "Query": query} {
			var h *connector.Hinted
			if connector.ActionOf(err) != connector.Fail || !errors.As(err, &h) || !strings.Contains(h.Hint, "database=") || !strings.Contains(err.Error(), "steaming") {
				t.Errorf("%s, %s: %v", layout, doing, err)
			}
			if err != nil && (strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "Pass")) {
				t.Errorf("%s, %s: an error of several lines, or with the password: %v", layout, doing, err)
			}
		}
	}
}

// TestSQLServerWorkers: workers write at once, lose connections at random, and
// take partitions from each other; what is stored is what the positions say.
func TestSQLServerWorkers(t *testing.T) {
	for _, layout := range layouts {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			server := tdsServer(t)
			openStore := serverStore(server.Address(), layout)(t)
			first := openStore(t)
			defer first.Close()
			if err := first.Prepare(t.Context()); err != nil {
				t.Fatal(err)
			}
			const workers, rounds = 3, 12
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			for i := range 4 * workers {
				f := local.Fault{Match: commits(layout), Skip: i * 3}
				switch i % 4 {
				case 0:
					f.DropAfter = true
				case 1:
					f.DropBefore = true
				case 2:
					f.Error = 1205
				default:
					f.Error = 40197
				}
				server.Inject(f)
			}
			var g errgroup.Group
			for w := range workers {
				g.Go(func() error {
					s := openStore(t)
					defer s.Close()
					rnd := rand.New(rand.NewPCG(seed, uint64(w)))
					for range rounds {
						// Each claims one partition of its own and one that another
						// has, and loses it in turn.
						if err := writeTwo(t.Context(), s, fmt.Sprint("worker ", w), int32(w), int32((w+1)%workers), rnd); err != nil {
							return err
						}
					}
					return nil
				})
			}
			if err := g.Wait(); err != nil {
				t.Fatal(err)
			}
			positions, err := first.Claim(t.Context(), "last", []int32{0, 1, 2})
			if err != nil {
				t.Fatal(err)
			}
			connectortest.Exact(t, first, positions)
		})
	}
}

// writeTwo claims two partitions and writes to both in one transaction, until
// that is done or they are lost.
func writeTwo(ctx context.Context, s connector.Store, worker string, a, b int32, rnd *rand.Rand) error {
	var positions map[int32]int64
	claim := func() (err error) {
		positions, err = s.Claim(ctx, worker, []int32{a, b})
		return err
	}
	if err := persist(ctx, claim); err != nil {
		return err
	}
	w := &connector.Write{}
	for _, p := range []int32{a, b} {
		from := max(positions[p], 0)
		u := connectortest.Stretch(p, from, from+1+rnd.Int64N(200))
		w.Results = append(w.Results, u.Results...)
		w.Advances = append(w.Advances, u.Advances...)
	}
	err := persist(ctx, func() error {
		_, err := s.Write(ctx, w)
		return err
	})
	if connector.ActionOf(err) == connector.Fenced {
		return nil
	}
	return err
}

// persist repeats what is worth repeating.
func persist(ctx context.Context, do func() error) error {
	for {
		err := do()
		if err == nil || connector.ActionOf(err) != connector.Retry {
			return err
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// TestSQLServerStalled: a server that does not answer holds nobody longer than
// its context.
func TestSQLServerStalled(t *testing.T) {
	t.Parallel()
	for name, match := range map[string]*regexp.Regexp{"statement": commits(sqldb.Rowstore), "load": regexp.MustCompile("^BULK LOAD$")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := tdsServer(t)
			s := serverStore(server.Address(), sqldb.Rowstore)(t)(t)
			defer s.Close()
			filled(t, s, 10)
			remove := server.Inject(local.Fault{Match: match, Delay: time.Hour})
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			w := connectortest.Stretch(0, 10, 30)
			if _, err := s.Write(ctx, w); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the write ends with %v", err)
			}
			remove()
			if _, err := s.Write(t.Context(), w); err != nil {
				t.Error(err)
			}
			connectortest.Exact(t, s, map[int32]int64{0: 30})
		})
	}
}

// TestSQLServerRefusedRows: what the table's own rules refuse is found and
// named, and the rest can be written.
func TestSQLServerRefusedRows(t *testing.T) {
	t.Parallel()
	for _, layout := range layouts[:2] {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			server := tdsServer(t)
			c := serverConfig(server.Address(), layout)
			s := open(t, c, connectortest.Env("", ""))
			defer s.Close()
			filled(t, s, 10)
			admin(t, server, "CREATE UNIQUE INDEX once ON events (partitionId, deviceSequenceNumber)")
			w := connectortest.Stretch(0, 10, 40)
			for _, i := range []int{3, 17} {
				w.Results[i].Sequence = int64(i) % 10 // is there already
			}
			_, err := s.Write(t.Context(), w)
			var e *connector.Error
			if !errors.As(err, &e) || e.Action != connector.Reject || fmt.Sprint(e.Items) != "[3 17]" {
				t.Fatalf("got %v", err)
			}
			w.Results = append(append(w.Results[:3:3], w.Results[4:17]...), w.Results[18:]...)
			if r, err := s.Write(t.Context(), w); err != nil || r.Stored != 28 {
				t.Errorf("without them: %+v %v", r, err)
			}
		})
	}
}

// admin runs statements as somebody else would.
func admin(t testing.TB, server *local.Server, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlserver", server.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, text := range statements {
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

// TestSQLServerUpgrade: a table that was made before two columns were thought
// of gets them, and keeps its rows.
func TestSQLServerUpgrade(t *testing.T) {
	t.Parallel()
	for _, layout := range layouts {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			server := tdsServer(t)
			admin(t, server, `CREATE TABLE events (EventId uniqueidentifier NOT NULL, DeviceId nvarchar(300) NOT NULL, DeviceSequenceNumber bigint NOT NULL,
				[Type] nvarchar(256) NULL, Value float NULL, ComplexData nvarchar(max) NULL, CreatedAt datetime2(7) NOT NULL, EnqueuedAt datetime2(6) NULL,
				StoredAt datetime2(6) NOT NULL, PartitionId int NOT NULL, LogOffset bigint NOT NULL, site int NULL, PRIMARY KEY (PartitionId, EventId))`,
				`INSERT INTO events (eventId, deviceId, deviceSequenceNumber, createdAt, storedAt, partitionId, logOffset)
				 VALUES ('00000000-0000-4000-8000-000000000000', N'device-0', 0, '2026-01-02T15:04:05.123456', '2026-01-02T15:04:06', 0, 0)`)
			s := open(t, serverConfig(server.Address(), layout), connectortest.Env("", ""))
			defer s.Close()
			for range 2 { // the second time there is nothing to do
				if err := s.Prepare(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.Claim(t.Context(), "w", []int32{0}); err != nil {
				t.Fatal(err)
			}
			// The old row is one of them.
			if r, err := s.Write(t.Context(), connectortest.Stretch(0, 0, 10)); err != nil || r.Stored != 9 || r.Duplicates != 1 {
				t.Errorf("%+v %v", r, err)
			}
			n := 0
			err := s.Scan(t.Context(), func(r *record.Stored) error {
				n++
				if (r.Offset == 0) != (r.ProcessedAt == record.NoTime) {
					return fmt.Errorf("row %d was processed at %d", r.Offset, r.ProcessedAt)
				}
				return nil
			})
			if err != nil || n != 10 {
				t.Errorf("%d rows, %v", n, err)
			}
		})
	}
}

// TestSQLServerRefusedTable: somebody else's table is left alone.
func TestSQLServerRefusedTable(t *testing.T) {
	t.Parallel()
	for _, layout := range layouts {
		server := tdsServer(t)
		admin(t, server, "CREATE TABLE events (id int NOT NULL, value nvarchar(10) NULL, createdAt datetime NOT NULL)")
		s := open(t, serverConfig(server.Address(), layout), connectortest.Env("", ""))
		defer s.Close()
		err := s.Prepare(t.Context())
		var h *connector.Hinted
		if !errors.As(err, &h) || connector.ActionOf(err) != connector.Fail {
			t.Errorf("%s: %v", layout, err)
			continue
		}
		for _, part := range []string{"table events at ", "does not fit", "column value is nvarchar(10) and must be float", "there is no column eventId",
			"column createdAt is datetime and must be datetime2(6)", "column id is not Millrace's"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q is not in %v", layout, part, err)
			}
		}
		admin(t, server, "INSERT INTO events (id, createdAt) VALUES (1, '2026-01-02')")
	}
}

// TestSQLServerLogins: who is let in, and what others are told.
func TestSQLServerLogins(t *testing.T) {
	t.Parallel()
	certificate, err := local.SelfSigned()
	if err != nil {
		t.Fatal(err)
	}
	server, err := local.Start(t.Context(), local.Options{User: "relay", Password: "se/cr@et 1", Token: "token of the day", TLS: certificate})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	at := server.HostPort() + "?database=streaming"
	for name, c := range map[string]struct{ url, want string }{
		"password":         {url: "sqlserver://relay:se%2Fcr%40et%201@" + at},
		"parameters":       {url: "sqlserver://" + at + "&user+id=relay&password=se%2Fcr%40et+1"},
		"TLS":              {url: "sqlserver://relay:se%2Fcr%40et%201@" + at + "&encrypt=true&TrustServerCertificate=true"},
		"token":            {url: "sqlserver://" + at + "&fedauth=ActiveDirectoryServicePrincipalAccessToken&password=token+of+the+day&encrypt=true&TrustServerCertificate=true"},
		"unknown issuer":   {url: "sqlserver://relay:se%2Fcr%40et%201@" + at + "&encrypt=true", want: "x509"},
		"wrong password":   {url: "sqlserver://relay:secret@" + at, want: "refuses the login"},
		"wrong token":      {url: "sqlserver://" + at + "&fedauth=ActiveDirectoryServicePrincipalAccessToken&password=secret&encrypt=true&TrustServerCertificate=true", want: "refuses the login"},
		"no such database": {url: "sqlserver://relay:se%2Fcr%40et%201@" + server.HostPort() + "?database=nowhere", want: "nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, serverConfig(c.url, sqldb.Rowstore), connectortest.Env("", connectortest.NewRun()))
			defer s.Close()
			err := s.Prepare(t.Context())
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "cr@et") || strings.Contains(err.Error(), "secret")) {
				t.Errorf("the password shows in %v", err)
			}
			var h *connector.Hinted
			var u *connector.Unreachable
			if err != nil && !errors.As(err, &h) && !errors.As(err, &u) {
				t.Errorf("no hint with %v", err)
			}
		})
	}
}
