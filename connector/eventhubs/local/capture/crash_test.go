package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"millrace/connector/blob"
	"millrace/connector/eventhubs/local/hub"
	"millrace/internal/testservice"
)

// The property that all of this is for: whatever happens and whenever, the files
// of a partition, one after the other, are exactly what was in the log. The
// archive is killed between any two things it does, its disk and storage fail,
// answers get lost.
func TestCrashesOnFolder(t *testing.T) {
	t.Parallel()
	rounds := 40
	if testing.Short() {
		rounds = 15
	}
	for i := range rounds {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("%d", seed), func(t *testing.T) {
			if i > 1 {
				t.Parallel()
			}
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil)
				r := rand.New(rand.NewPCG(seed, 0))
				b.set.interval = time.Duration(1+r.IntN(60)) * time.Second
				crashes(t, b, r, 1000)
			})
		})
	}
}

// The same onto a storage account, in real time.
func TestCrashesOnAzurite(t *testing.T) {
	t.Parallel()
	address := testservice.Azurite(t)
	rounds := 2
	if testing.Short() {
		rounds = 1
	}
	for range rounds {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, azuriteBucket(t, address))
			r := rand.New(rand.NewPCG(seed, 0))
			b.set.interval = 150 * time.Millisecond
			crashes(t, b, r, 3)
		})
	}
}

// azuriteBucket opens a container of its own, which goes away with the test.
func azuriteBucket(t *testing.T, address string) blob.Bucket {
	t.Helper()
	name := fmt.Sprintf("capture-%016x", rand.Uint64())
	bucket, err := blob.Open(t.Context(), address, name, nil)
	if err != nil {
		t.Fatal(err)
	}
	client, err := blob.ContainerClient(address, name, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Delete(context.Background(), nil) //nolint:errcheck // a test's remains
		bucket.Close()
	})
	return bucket
}

// crashes lets archives live and die while events come in, pace milliseconds
// apart at most, and compares the archive with the log.
func crashes(t *testing.T, b *bench, r *rand.Rand, pace int64) {
	b.set.sizeLimit = int64(1000 + r.IntN(20000))
	b.set.skipEmpty = r.IntN(2) == 0
	if r.IntN(3) == 0 {
		b.set.codec = codecDeflate
	}
	chance := rand.New(rand.NewPCG(r.Uint64(), 1))
	fail := func(string) (error, bool) {
		if chance.IntN(20) == 0 {
			return errors.Join(errBusy, errors.New("by chance")), chance.IntN(2) == 0
		}
		return nil, false
	}
	for range 15 {
		b.mu.Lock()
		b.steps, b.killAt, b.fault = 0, 1+r.IntN(120), fail
		b.mu.Unlock()
		a := b.start()
		for range r.IntN(60) {
			if r.IntN(30) == 0 {
				b.log.hole()
			}
			b.log.append(fmt.Sprintf("%d %s", len(b.log.all()), strings.Repeat("x", r.IntN(700))))
			rest := time.Duration(r.Int64N(pace * 1e6))
			if r.IntN(40) == 0 {
				rest += b.set.interval * 2
			}
			time.Sleep(rest)
		}
		if r.IntN(2) == 0 {
			a.request()
			time.Sleep(time.Millisecond)
		}
		b.stop()
		if r.IntN(4) == 0 {
			time.Sleep(3 * b.set.interval) // off for a while
		}
	}
	b.killAt, b.fault = 0, nil
	b.start()
	b.flush()
	b.stop()
	checkArchive(t, b)
}

// checkArchive compares the files with the log, and their names with their
// windows.
func checkArchive(t *testing.T, b *bench) {
	t.Helper()
	names, contents := files(t, b.bucket)
	if !slices.IsSorted(names) {
		t.Errorf("names %v", names)
	}
	want := b.log.all()
	for i, name := range names {
		rows := readFile(t, contents[i])
		if len(rows) == 0 && b.set.skipEmpty {
			t.Errorf("%s is empty", name)
		}
		for _, row := range rows {
			if len(want) == 0 || row.sequence != want[0].sequence || !bytes.Equal(row.body, want[0].body) {
				t.Fatalf("%s has %d where the log has %v", name, row.sequence, want[:min(1, len(want))])
			}
			want = want[1:]
		}
	}
	if len(want) > 0 {
		t.Fatalf("%d events from %d on are not in the archive", len(want), want[0].sequence)
	}
	if n := b.logs.count("is not what it would have been"); n > 0 {
		t.Errorf("%d files were made again with other bytes: %v", n, b.logs.lines)
	}
	if n := b.logs.count("taking the next second"); n > 0 {
		t.Errorf("%d files were not recognised: %v", n, b.logs.lines)
	}
	st, err := b.states.load()
	if err != nil || st.Pending != nil || st.Files != int64(len(names)) || st.Events != int64(len(b.log.all())) {
		t.Errorf("state %+v for %d files, %d events: %v", st, len(names), len(b.log.all()), err)
	}
}

// A state file that a power cut or a hand has damaged is said to be so, and not
// taken for none: a new beginning would archive everything twice.
func TestDamagedState(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		if err := b.states.save(&state{Hub: "id", Next: 5}); err != nil {
			t.Fatal(err)
		}
		st, err := b.states.load()
		if err != nil || st.Next != 5 || st.Version != stateVersion {
			t.Fatalf("%+v, %v", st, err)
		}
		file := b.states.(stateFile)
		if err := hub.ReplaceFile(string(file), []byte(`{"version":1,"next":`)); err != nil {
			t.Fatal(err)
		}
		b.log.append("a")
		b.start()
		time.Sleep(2 * time.Minute)
		b.stop()
		b.wantFiles()
		if b.logs.count("reading the state of Capture") == 0 {
			t.Errorf("log %v", b.logs.lines)
		}
		if err := hub.ReplaceFile(string(file), []byte(`{"version":9}`)); err != nil {
			t.Fatal(err)
		}
		if _, err := file.load(); err == nil || !strings.Contains(err.Error(), "version 9") {
			t.Errorf("%v", err)
		}
	})
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"version":1,"hub":"x","next":3,"start":"2026-01-01T00:00:00Z","pending":{"hash":"7"}}`))
	f.Add([]byte(`{}`))
	f.Add([]byte(`null`))
	f.Add(binary.BigEndian.AppendUint64(nil, 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		file := stateFile(t.TempDir() + "/s")
		if err := hub.ReplaceFile(string(file), data); err != nil {
			t.Fatal(err)
		}
		st, err := file.load()
		if err == nil && (st == nil || st.Version != stateVersion) {
			t.Errorf("%+v", st)
		}
	})
}
