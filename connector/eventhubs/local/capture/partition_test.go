package capture

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"millrace/connector"
)

// Time in these tests is that of a bubble: it begins at 2000-01-01 00:00:00 and
// passes when all are waiting.

func TestWindowsByTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		time.Sleep(17300 * time.Millisecond) // windows are not aligned to the clock
		b.since = time.Now()
		b.start()
		b.log.append("a")
		time.Sleep(59 * time.Second)
		b.log.append("b")
		time.Sleep(time.Second) // the next window begins at 01:17.3
		b.log.append("c")
		time.Sleep(60 * time.Second) // and another at 02:17.3
		time.Sleep(60 * time.Second)
		b.log.append("d")
		time.Sleep(59 * time.Second)
		b.stop()
		// What was not yet due is there after a restart.
		b.start()
		time.Sleep(10 * time.Second)
		b.stop()
		b.wantFiles("2000/01/01/00/00/17: a b", "2000/01/01/00/01/17: c", "2000/01/01/00/02/17:", "2000/01/01/00/03/17: d")
		_, contents := files(t, b.bucket)
		if len(contents[2]) != 508 {
			t.Errorf("an empty file has %d bytes", len(contents[2]))
		}
	})
}

func TestSkipEmpty(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.set.skipEmpty = true
		b.start()
		time.Sleep(150 * time.Second)
		b.log.append("a")
		time.Sleep(150 * time.Second)
		b.stop()
		b.wantFiles("2000/01/01/00/02/00: a")
	})
}

// The size that counts is that of the events before compression; whichever
// trigger comes first ends a window.
func TestWindowsBySize(t *testing.T) {
	t.Parallel()
	for _, codec := range []string{codecNull, codecDeflate} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil)
				b.set.codec = codec
				b.set.sizeLimit = 3000
				b.start()
				big := strings.Repeat("x", 980)
				for i := range 7 {
					time.Sleep(10 * time.Second)
					b.log.append(fmt.Sprint(i, big))
				}
				time.Sleep(time.Minute)
				b.stop()
				names, contents := files(t, b.bucket)
				var got []string
				for i, name := range names {
					line := name[len("ns/hub/0/2000/01/01/"):]
					for _, r := range readFile(t, contents[i]) {
						line += " " + string(r.body[:1])
					}
					got = append(got, line)
				}
				// The third event reaches the limit after 30 s, and the next
				// window begins with that.
				want := "[00/00/00.avro 0 1 2 00/00/30.avro 3 4 5 00/01/00.avro 6]"
				if fmt.Sprint(got) != want {
					t.Errorf("%v, want %v", got, want)
				}
			})
		})
	}
}

// Small files within one second: names move on to seconds that are free, and
// stay in the order of events.
func TestNamesInOneSecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.set.sizeLimit = 1
		b.start()
		for i := range 4 {
			b.log.append(fmt.Sprint(i))
		}
		time.Sleep(time.Second)
		b.stop()
		b.start()
		time.Sleep(10 * time.Second)
		b.log.append("x")
		time.Sleep(time.Second)
		b.stop()
		b.wantFiles("2000/01/01/00/00/00: 0", "2000/01/01/00/00/01: 1", "2000/01/01/00/00/02: 2", "2000/01/01/00/00/03: 3", "2000/01/01/00/00/04: x")
	})
}

// Topics that others made may keep the clocks of their clients: one that is ahead
// neither moves the windows into the future nor keeps them open until then.
func TestEventsOfTheFuture(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.start()
		time.Sleep(10 * time.Second)
		b.log.appendAt("a", time.Now().Add(365*24*time.Hour))
		time.Sleep(20 * time.Second)
		b.log.append("b")
		time.Sleep(time.Minute)
		b.log.append("c")
		b.log.appendAt("d", time.Now().Add(365*24*time.Hour))
		time.Sleep(time.Minute)
		b.stop()
		b.wantFiles("2000/01/01/00/00/00: a b", "2000/01/01/00/01/00: c d")
	})
}

// While the service is off, events keep the windows that they came in; windows
// in which nothing came leave no files.
func TestBackfillAfterStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.start()
		b.log.append("a")
		time.Sleep(30 * time.Second)
		b.stop()
		b.log.append("b")
		time.Sleep(40 * time.Second)
		b.log.append("c") // at 1:10
		time.Sleep(5 * time.Minute)
		b.log.append("d") // at 6:10
		time.Sleep(3*time.Minute + 20*time.Second)
		b.start() // at 9:30
		time.Sleep(time.Second)
		b.log.append("e")
		time.Sleep(time.Minute)
		b.stop()
		b.wantFiles("2000/01/01/00/00/00: a b", "2000/01/01/00/01/00: c", "2000/01/01/00/06/00: d", "2000/01/01/00/09/00: e")
	})
}

func TestStorageOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		away := true
		b.fault = func(step string) (error, bool) {
			if away && step == "put" {
				return errBusy, false
			}
			return nil, false
		}
		a := b.start()
		for i := range 10 {
			b.log.append(fmt.Sprint(i))
			time.Sleep(30 * time.Second)
		}
		if err := a.failure(); !errors.Is(err, errBusy) || !strings.Contains(err.Error(), "partition 0 of hub hub") {
			t.Errorf("failure: %v", err)
		}
		b.wantFiles()
		// Ten minutes of failures are not hundreds of lines.
		if n := b.logs.count("WARN"); n < 2 || n > 12 {
			t.Errorf("%d warnings", n)
		}
		b.mu.Lock()
		away = false
		b.mu.Unlock()
		time.Sleep(61 * time.Second)
		b.wantFiles("2000/01/01/00/00/00: 0 1", "2000/01/01/00/01/00: 2 3", "2000/01/01/00/02/00: 4 5", "2000/01/01/00/03/00: 6 7",
			"2000/01/01/00/04/00: 8 9", "2000/01/01/00/05/00:")
		if err := a.failure(); err != nil {
			t.Errorf("still failing: %v", err)
		}
		if b.logs.count("gets on again") != 1 {
			t.Errorf("log: %v", b.logs.lines)
		}
		b.stop()
	})
}

// The storage is away for longer than events are kept: what has expired is lost
// and counted, the rest is archived. A file that was finished before is not lost.
func TestRetentionShorterThanOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		away := true
		b.fault = func(step string) (error, bool) {
			if away && step == "put" {
				return errBusy, false
			}
			return nil, false
		}
		a := b.start()
		for i := range 10 {
			b.log.append(fmt.Sprint(i))
			time.Sleep(30 * time.Second)
		}
		b.log.expire(7)
		b.mu.Lock()
		away = false
		b.mu.Unlock()
		time.Sleep(time.Minute)
		a.mu.Lock()
		lost := a.status.Lost
		a.mu.Unlock()
		b.stop()
		// 0 and 1 were finished; the reader had the next ones at hand.
		names, contents := files(t, b.bucket)
		seen := map[string]int{}
		for i := range names {
			for _, r := range readFile(t, contents[i]) {
				seen[string(r.body)]++
			}
		}
		for _, must := range []string{"0", "1", "7", "8", "9"} {
			if seen[must] != 1 {
				t.Errorf("%s is there %d times", must, seen[must])
			}
		}
		if int64(len(seen))+lost != 10 {
			t.Errorf("%d archived, %d lost", len(seen), lost)
		}
	})
}

// The same, with the service killed in between.
func TestRetentionShorterThanStop(t *testing.T) {
	t.Parallel()
	for _, put := range []bool{false, true} {
		t.Run(fmt.Sprint("put ", put), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil)
				// The file of the first window is finished; put, or not.
				b.fault = func(step string) (error, bool) {
					if step == "put" {
						b.killAt = 1
						return errKilled, put
					}
					return nil, false
				}
				for i := range 6 {
					b.log.append(fmt.Sprint(i))
				}
				b.start()
				time.Sleep(61 * time.Second)
				for i := range 6 {
					b.log.append(fmt.Sprint(6 + i))
				}
				b.stop()
				b.killAt, b.fault = 0, nil
				b.log.expire(3)
				a := b.start()
				time.Sleep(2 * time.Minute)
				b.log.expire(12) // all of it has expired; nothing is waiting
				b.stop()
				a.mu.Lock()
				lost := a.status.Lost
				a.mu.Unlock()
				if put {
					b.wantFiles("2000/01/01/00/00/00: 0 1 2 3 4 5", "2000/01/01/00/01/00: 6 7 8 9 10 11", "2000/01/01/00/02/00:")
				} else {
					b.wantFiles("2000/01/01/00/00/00: 3 4 5", "2000/01/01/00/01/00: 6 7 8 9 10 11", "2000/01/01/00/02/00:")
				}
				if want := map[bool]int64{false: 3, true: 0}[put]; lost != want || (b.logs.count("expired before") > 0) != (want > 0) {
					t.Errorf("lost %d, want %d; log %v", lost, want, b.logs.lines)
				}
			})
		})
	}
}

// Everything that waits expires: the archive goes on with what comes.
func TestAllExpired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.log.append("a")
		b.log.append("b")
		b.log.expire(2)
		b.start()
		time.Sleep(61 * time.Second)
		b.log.append("c")
		time.Sleep(60 * time.Second)
		b.stop()
		b.wantFiles("2000/01/01/00/00/00:", "2000/01/01/00/01/00: c")
	})
}

// Sequence numbers that the log uses itself are no loss, and keep no window and
// no flush waiting.
func TestHoles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.start()
		b.log.append("a")
		b.log.hole()
		b.log.append("b")
		b.log.hole()
		b.log.hole()
		b.flush()
		b.wantFiles("2000/01/01/00/00/00: a b")
		time.Sleep(time.Minute)
		b.log.append("c")
		b.stop()
		b.start()
		b.flush()
		b.stop()
		if n := b.logs.count("expired"); n != 0 {
			t.Errorf("log: %v", b.logs.lines)
		}
		names, _ := files(t, b.bucket)
		if len(names) != 3 {
			t.Errorf("files %v", names)
		}
	})
}

func TestFlush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.start()
		b.flush() // nothing to do
		b.log.append("a")
		time.Sleep(90 * time.Second)
		b.flush() // the window of a is over; that of now is empty
		b.wantFiles("2000/01/01/00/00/00: a")
		b.log.append("b")
		b.flush() // closes the window that began at 1:00, now
		b.log.append("c")
		b.flush()
		b.wantFiles("2000/01/01/00/00/00: a", "2000/01/01/00/01/00: b", "2000/01/01/00/01/30: c")
		time.Sleep(59 * time.Second)
		b.stop()
	})
}

// Wrong credentials end a flush at once, an outage does not.
func TestFlushFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		denied := &connector.Hinted{Err: errors.New("denied"), Hint: "check the key"}
		b.fault = func(step string) (error, bool) {
			if step == "put" {
				return denied, false
			}
			return nil, false
		}
		a := b.start()
		b.log.append("a")
		if err := a.await(t.Context(), a.request()); !errors.Is(err, denied) {
			t.Errorf("%v", err)
		}
		if b.logs.count("check the key") != 1 {
			t.Errorf("log: %v", b.logs.lines)
		}
		b.stop()
	})
}

// A file of somebody else under our name stays as it is.
func TestForeignFile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		for _, s := range []string{"00", "01"} {
			if _, err := b.bucket.Put(t.Context(), "ns/hub/0/2000/01/01/00/00/"+s+".avro", strings.NewReader("foreign")); err != nil {
				t.Fatal(err)
			}
		}
		b.start()
		b.log.append("a")
		b.flush()
		b.log.append("b")
		b.flush()
		b.stop()
		names, contents := files(t, b.bucket)
		if len(names) != 4 || string(contents[0]) != "foreign" || string(contents[1]) != "foreign" ||
			string(readFile(t, contents[2])[0].body) != "a" || string(readFile(t, contents[3])[0].body) != "b" {
			t.Errorf("files %v", names)
		}
		if b.logs.count("taking the next second") != 2 {
			t.Errorf("log: %v", b.logs.lines)
		}
	})
}

// An answer that was lost: the file is there, and is taken for what it is.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		n := 0
		b.fault = func(step string) (error, bool) {
			if step == "put" {
				n++
				return errBusy, n == 1 // written, but it does not seem so
			}
			return nil, false
		}
		b.start()
		b.log.append("a")
		go func() {
			time.Sleep(10 * time.Second)
			b.mu.Lock()
			b.fault = nil
			b.mu.Unlock()
		}()
		b.flush()
		b.wantFiles("2000/01/01/00/00/00: a")
		b.stop()
	})
}

// Switched on for a hub that has events: only those from then on. Off and on
// again: what came in between is left out, and what came before is not.
func TestPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.log.append("before")
		time.Sleep(time.Second)
		b.since, b.fresh = time.Now(), false
		time.Sleep(time.Second)
		b.log.append("a")
		time.Sleep(time.Second)
		a := b.start()
		a.finish(pause)
		<-a.done
		b.log.append("between")
		time.Sleep(10 * time.Second)
		b.since = time.Now()
		b.log.append("b")
		b.start()
		b.flush()
		// Another description: no event is left out, or there twice.
		b.log.append("c")
		b.a.finish(change)
		<-b.a.done
		b.set.format = "{Second}-" + DefaultNameFormat
		b.log.append("d")
		time.Sleep(time.Second)
		b.start()
		b.flush()
		b.stop()
		b.wantFiles("15-ns/hub/0/2000/01/01/00/00/15: d", "2000/01/01/00/00/01: a", "2000/01/01/00/00/13: b", "2000/01/01/00/00/14: c")
	})
}

// A hub that was made again under its name begins anew.
func TestAnotherHub(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.start()
		b.log.append("a")
		b.log.append("b")
		b.flush()
		b.stop()
		time.Sleep(time.Minute)
		b.log, b.hubID, b.since = newFakeLog(), "another", time.Now()
		b.log.append("c")
		b.start()
		b.flush()
		b.stop()
		b.wantFiles("2000/01/01/00/00/00: a b", "2000/01/01/00/01/00: c")
	})
}

// The log lost its end: the archive says so and goes on.
func TestLogLostItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.start()
		b.log.append("a")
		b.log.append("b")
		b.flush()
		b.stop()
		b.log.events, b.log.end = b.log.events[:1], 1
		b.start()
		synctest.Wait()
		b.log.append("c")
		b.flush()
		b.stop()
		names, contents := files(t, b.bucket)
		if len(names) != 2 || string(readFile(t, contents[1])[0].body) != "c" || b.logs.count("ERROR") != 1 {
			t.Errorf("files %v, log %v", names, b.logs.lines)
		}
	})
}
