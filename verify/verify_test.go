package verify

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"millrace/record"
)

func TestNothingWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(2000, 7)
	w.resend(3, true)
	w.resend(1999, true)
	w.spoil("{", record.NotJSON, true, 900)
	w.shuffle(1)
	v := w.check(t)
	wantEqual(t, "events", v.Events, Events{
		Offered: 2003, Sent: 2003, Unique: 2000, InjectedDuplicates: 2, Malformed: 1, Stored: 2000, DeadLettered: 1,
	})
	wantEqual(t, "fates", v.Fates, Fates{ServedOnce: 2000})
	wantEqual(t, "matched", v.DeadLetters.Matched, 1)
	if !v.Pass || len(v.Imbalances) > 0 || len(v.Examples) > 0 {
		t.Errorf("pass %v, imbalances %q, examples %v", v.Pass, v.Imbalances, v.Examples)
	}
}

// TestFlaws bends one thing at a time and expects exactly that to be counted.
func TestFlaws(t *testing.T) {
	t.Parallel()
	const n, devices = 400, 5
	for name, c := range map[string]struct {
		bend func(w *world)
		want func(e *Events, f *Fates)
		kind Kind // of the example expected
		pass bool
	}{
		"a row is missing": {
			bend: func(w *world) { w.rows = append(w.rows[:10], w.rows[11:]...) },
			want: func(e *Events, f *Fates) { e.Stored--; e.Missing++; f.ServedOnce--; f.Lost++ },
			kind: KindMissing,
		},
		"a row is there three times": {
			bend: func(w *world) { w.rows = append(w.rows, w.rows[10], w.rows[10]) },
			want: func(e *Events, f *Fates) { e.Stored += 2; e.Duplicates += 2; f.ServedOnce--; f.ServedMany++ },
			kind: KindDuplicate,
		},
		"a row that nobody sent": {
			bend: func(w *world) { r := w.rows[10]; r.ID = id(9999); w.rows = append(w.rows, r) },
			want: func(e *Events, _ *Fates) { e.Stored++; e.Unexpected++ },
			kind: KindUnexpected,
		},
		"content altered": {
			bend: func(w *world) { w.rows[10].Fingerprint++ },
			want: func(e *Events, _ *Fates) { e.Corrupted++ },
			kind: KindCorrupted,
		},
		"device altered": {
			bend: func(w *world) { w.rows[10].DeviceID = []byte("contoso://device-id-999") },
			want: func(e *Events, _ *Fates) { e.Corrupted++ },
			kind: KindCorrupted,
		},
		"sequence altered": {
			bend: func(w *world) { w.rows[10].Sequence++ },
			want: func(e *Events, _ *Fates) { e.Corrupted++ },
			kind: KindCorrupted,
		},
		"createdAt altered": {
			bend: func(w *world) { w.rows[10].CreatedAt++ },
			want: func(e *Events, _ *Fates) { e.Corrupted++ },
			kind: KindCorrupted,
		},
		"stored before an earlier event": {
			bend: func(w *world) { w.rows[200].StoredAt -= 1_000_000 },
			want: func(e *Events, _ *Fates) { e.OutOfSequence++ },
			kind: KindSequence,
		},
		"one event stored late, so that those after it are before it": {
			bend: func(w *world) { w.rows[n-1-3*devices].StoredAt += 60_000_000 },
			want: func(e *Events, _ *Fates) { e.OutOfSequence += 3 },
			kind: KindSequence,
		},
		"swapped in the log": {
			bend: func(w *world) {
				w.rows[200].Offset, w.rows[200+devices].Offset = w.rows[200+devices].Offset, w.rows[200].Offset
			},
			want: func(e *Events, _ *Fates) { e.OutOfSequence++ },
			kind: KindSequence,
		},
		"stored at the same time is in order": {
			bend: func(w *world) {
				for i := range w.rows {
					w.rows[i].StoredAt = t0 + 1_000_000
				}
			},
			pass: true,
		},
		"a device that sends out of order on purpose": {
			bend: func(w *world) {
				a, b := &w.entries[200], &w.entries[200+devices]
				*a, *b = *b, *a
				ra, rb := &w.rows[200], &w.rows[200+devices]
				ra.Offset, rb.Offset = rb.Offset, ra.Offset
				ra.StoredAt, rb.StoredAt = rb.StoredAt, ra.StoredAt
			},
			// 5 events lie between the two, each sent a millisecond after the
			// one before.
			want: func(*Events, *Fates) {},
			pass: true,
		},
		"rows without positions": {
			bend: func(w *world) {
				for i := range w.rows {
					w.rows[i].Partition, w.rows[i].Offset = -1, -1
				}
			},
			pass: true,
		},
		"a row without times": {
			bend: func(w *world) { w.rows[10].StoredAt = record.NoTime },
			want: func(e *Events, _ *Fates) { e.Untimed++ },
			kind: KindUntimed,
		},
		"in doubt and served": {
			bend: func(w *world) { w.entries[10].Acked = false },
			want: func(e *Events, _ *Fates) { e.Sent--; e.Unique--; e.InDoubt++; e.InDoubtServed++ },
			pass: true,
		},
		"in doubt and not served": {
			bend: func(w *world) {
				w.entries[10].Acked = false
				w.rows = append(w.rows[:10], w.rows[11:]...)
			},
			want: func(e *Events, f *Fates) {
				e.Sent--
				e.Unique--
				e.InDoubt++
				e.Stored--
				f.ServedOnce--
				f.NotArrived++
			},
			pass: true,
		},
		"in doubt, but its resend was acknowledged": {
			bend: func(w *world) {
				w.entries[10].Acked = false
				w.resend(10, true)
				w.rows = append(w.rows[:10], w.rows[11:]...)
			},
			want: func(e *Events, f *Fates) {
				e.InjectedDuplicates++
				e.Stored--
				e.Missing++
				f.ServedOnce--
				f.Lost++
			},
			kind: KindMissing,
		},
		"a resend that was served as well": {
			bend: func(w *world) {
				w.resend(10, true)
				r := w.rows[10]
				r.Offset, r.StoredAt = 5000, r.StoredAt+1_000_000
				w.rows = append(w.rows, r)
			},
			want: func(e *Events, f *Fates) {
				e.Sent++
				e.InjectedDuplicates++
				e.Stored++
				e.Duplicates++
				f.ServedOnce--
				f.ServedMany++
			},
			kind: KindDuplicate,
		},
		"the last write wins: a resend replaced the row": {
			bend: func(w *world) {
				w.resend(10, true)
				w.rows[10].Offset, w.rows[10].StoredAt = 5000, w.rows[10].StoredAt+60_000_000
			},
			want: func(e *Events, _ *Fates) { e.Sent++; e.InjectedDuplicates++ },
			pass: true,
		},
		"a resent event whose first copy was stored late": {
			bend: func(w *world) {
				w.resend(n-1-3*devices, true)
				w.rows[n-1-3*devices].StoredAt += 60_000_000
			},
			want: func(e *Events, _ *Fates) { e.Sent++; e.InjectedDuplicates++; e.OutOfSequence += 3 },
			kind: KindSequence,
		},
		"dropped by policy": {
			bend: func(w *world) { w.in.DroppedByPolicy = 1; w.rows = append(w.rows[:10], w.rows[11:]...) },
			want: func(e *Events, f *Fates) { e.Stored--; e.DroppedByPolicy++; f.ServedOnce--; f.DroppedByPolicy++ },
			pass: true,
		},
		"one dropped by policy, two absent": {
			bend: func(w *world) { w.in.DroppedByPolicy = 1; w.rows = append(w.rows[:10], w.rows[12:]...) },
			want: func(e *Events, f *Fates) {
				e.Stored -= 2
				e.DroppedByPolicy++
				e.Missing++
				f.ServedOnce -= 2
				f.DroppedByPolicy++
				f.Lost++
			},
			kind: KindMissing,
		},
		"more dropped by policy than absent": {
			bend: func(w *world) { w.in.DroppedByPolicy = 1 },
			want: func(e *Events, _ *Fates) { e.DroppedByPolicy++ },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(n, devices)
			c.bend(w)
			w.shuffle(2)
			v := w.check(t)
			e := Events{Sent: n, Unique: n, Stored: n}
			f := Fates{ServedOnce: n}
			if c.want != nil {
				c.want(&e, &f)
			}
			e.Offered = int64(len(w.entries))
			e.Unsent = e.Offered - e.Sent
			// Swapping two events makes them look held back by the time
			// between them, which is no flaw.
			e.LateSent = v.Events.LateSent
			wantEqual(t, "events", v.Events, e)
			wantEqual(t, "fates", v.Fates, f)
			wantEqual(t, "pass", v.Pass, c.pass)
			if c.kind != "" && (len(v.Examples) == 0 || v.Examples[0].Kind != c.kind) {
				t.Errorf("examples %v, want one of kind %s", v.Examples, c.kind)
			}
			for _, x := range v.Examples {
				if x.EventID == "" || x.Device == "" || x.Detail == "" {
					t.Errorf("example cannot be looked up: %+v", x)
				}
			}
		})
	}
}

func TestExamplesAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(500, 5)
	w.rows = w.rows[:100]
	v := w.check(t)
	wantEqual(t, "missing", v.Events.Missing, 400)
	wantEqual(t, "examples", len(v.Examples), MaxExamples)
	x := v.Examples[0]
	wantEqual(t, "event", x.EventID, id(100).String())
	wantEqual(t, "device", x.Device, "contoso://device-id-0")
	wantEqual(t, "sequence", x.Sequence, 20)
	if !strings.Contains(x.Detail, "2026-05-04T10:00:00.100000Z") {
		t.Errorf("detail %q does not say when the event was created", x.Detail)
	}
}

// TestRandomFlaws bends many things at random and compares with what was done.
func TestRandomFlaws(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 3))
		n := 200 + r.IntN(3000)
		w := newWorld(n, 1+r.IntN(30))
		want, fates := Events{Sent: int64(n)}, Fates{}
		var rows []record.Stored
		for i, row := range w.rows {
			copies := 1
			switch r.IntN(20) {
			case 0:
				copies = 0
			case 1:
				copies = 2 + r.IntN(3)
			case 2:
				row.Fingerprint ^= 1 << r.IntN(64)
				want.Corrupted++
			case 3:
				w.entries[i].Acked = false
				copies = r.IntN(2)
				want.Sent--
			case 4:
				acked := r.IntN(2) == 0
				w.resend(i, acked)
				if acked {
					want.Sent++
					want.InjectedDuplicates++
				}
			case 5:
				alien := row
				alien.ID = id(1_000_000 + i)
				rows = append(rows, alien)
				want.Unexpected++
			}
			for range copies {
				rows = append(rows, row)
			}
			acked := w.entries[i].Acked
			if acked {
				want.Unique++
			} else {
				want.InDoubt++
				want.InDoubtServed += int64(copies)
			}
			switch {
			case copies == 1:
				fates.ServedOnce++
			case copies > 1:
				fates.ServedMany++
				want.Duplicates += int64(copies - 1)
			case acked:
				fates.Lost++
				want.Missing++
			default:
				fates.NotArrived++
			}
		}
		w.rows = rows
		want.Stored = int64(len(rows))
		want.Offered = int64(len(w.entries))
		want.Unsent = want.Offered - want.Sent
		w.shuffle(seed)
		v := w.check(t)
		if v.Events != want || v.Fates != fates || len(v.Imbalances) > 0 {
			t.Errorf("seed %d:\n got %+v %+v %q\nwant %+v %+v", seed, v.Events, v.Fates, v.Imbalances, want, fates)
		}
	}
}

func TestContradictoryLedger(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bend func(w *world)
		want string
	}{
		"the same event twice as new": {
			func(w *world) { w.entries[20].ID = w.entries[10].ID }, "twice as new",
		},
		"a resend of nothing": {
			func(w *world) { w.resend(10, true); w.entries[len(w.entries)-1].ID = id(9999) }, "not that it was sent",
		},
		"a resend with other content": {
			func(w *world) { w.resend(10, true); w.entries[len(w.entries)-1].Fingerprint++ }, "other content",
		},
		"an unknown kind": {
			func(w *world) { w.entries[10].Kind = 99 }, "unknown kind",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(100, 5)
			c.bend(w)
			_, err := Check(context.Background(), w.input())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestCheckFailsWithItsSources(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	w := newWorld(10, 2)
	in := w.input()
	in.Scan = func(context.Context, func(*record.Stored) error) error { return broken }
	if _, err := Check(context.Background(), in); !errors.Is(err, broken) {
		t.Errorf("error %v from a broken store", err)
	}
	in = w.input()
	in.DeadLetters = func(context.Context, func(*record.DeadLetter) error) error { return broken }
	if _, err := Check(context.Background(), in); !errors.Is(err, broken) {
		t.Errorf("error %v from broken dead letters", err)
	}
	in = w.input()
	in.Ledgers = []LedgerSource{func(func(*record.Entry) error) (*record.LedgerInfo, error) { return nil, broken }}
	if _, err := Check(context.Background(), in); !errors.Is(err, broken) {
		t.Errorf("error %v from a broken ledger", err)
	}
	if _, err := Check(context.Background(), Input{}); err == nil {
		t.Error("nothing to compare is no error")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Check(ctx, w.input()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v after cancelling", err)
	}
}

func TestEmptyRun(t *testing.T) {
	t.Parallel()
	w := newWorld(0, 1)
	v := w.check(t)
	wantEqual(t, "events", v.Events, Events{})
	if len(v.Imbalances) > 0 {
		t.Errorf("imbalances %q", v.Imbalances)
	}
}
