package verify

import (
	"fmt"
	"testing"

	"millrace/record"
)

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	event := func(i int) string {
		return fmt.Sprintf(`{"eventId":%q,"deviceId":"d","deviceSequenceNumber":1,"createdAt":"2026-05-04T10:00:00.000000Z"}`, id(i))
	}
	letter := func(w *world, offset int64, reason record.Reason, raw string) {
		w.letters = append(w.letters, record.DeadLetter{Partition: 1, Offset: offset, Reason: reason, Raw: []byte(raw)})
	}
	for name, c := range map[string]struct {
		bend      func(w *world)
		want      DeadLetters
		malformed int64
		kind      Kind
	}{
		"each with its reason": {
			bend: func(w *world) {
				w.spoil("{", record.NotJSON, true, 1)
				w.spoil("{}", record.MissingField, true, 2)
				w.spoil(`{"value":"x"}`, record.WrongType, true, 3)
			},
			want: DeadLetters{Matched: 3}, malformed: 3,
		},
		"written twice by a restart": {
			bend: func(w *world) {
				w.spoil("{", record.NotJSON, true, 1)
				w.letters = append(w.letters, w.letters[0])
			},
			want: DeadLetters{Matched: 1}, malformed: 1,
		},
		"the same bytes sent twice": {
			bend: func(w *world) {
				w.spoil("{", record.NotJSON, true, 1)
				w.spoil("{", record.NotJSON, true, 2)
			},
			want: DeadLetters{Matched: 2}, malformed: 2,
		},
		"one of two absent": {
			bend: func(w *world) {
				w.spoil("{", record.NotJSON, true, 1)
				w.spoil("{", record.NotJSON, true, -1)
			},
			want: DeadLetters{Matched: 1, Missing: 1}, malformed: 2, kind: KindLetterAbsent,
		},
		"in doubt, here or not": {
			bend: func(w *world) {
				w.spoil("{", record.NotJSON, false, 1)
				w.spoil("[", record.NotJSON, false, -1)
			},
			want: DeadLetters{Matched: 1}, malformed: 1,
		},
		"more often than sent": {
			bend: func(w *world) {
				w.spoil("{", record.NotJSON, true, 1)
				letter(w, 7, record.NotJSON, "{")
			},
			want: DeadLetters{Matched: 1, Repeated: 1}, malformed: 1, kind: KindLetterAgain,
		},
		"with another reason": {
			bend: func(w *world) {
				w.spoil("{", record.NotJSON, true, 1)
				w.letters[0].Reason = record.Oversized
			},
			want: DeadLetters{WrongReason: 1}, malformed: 1, kind: KindLetterReason,
		},
		"sent by nobody": {
			bend: func(w *world) { letter(w, 1, record.NotJSON, "?") },
			want: DeadLetters{Unknown: 1}, kind: KindLetterAlien,
		},
		"an event that nobody sent": {
			bend: func(w *world) { letter(w, 1, record.Rejected, event(12345)) },
			want: DeadLetters{Unknown: 1}, kind: KindLetterAlien,
		},
		"a well-formed event, served as well": {
			bend: func(w *world) { letter(w, 1, record.Rejected, event(3)) },
			want: DeadLetters{WellFormed: 1}, kind: KindLetterGood,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(10, 2)
			c.bend(w)
			v := w.check(t)
			got := v.DeadLetters
			got.ByReason = nil
			wantEqual(t, "dead letters", fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", c.want))
			wantEqual(t, "malformed", v.Events.Malformed, c.malformed)
			wantEqual(t, "distinct", v.Events.DeadLettered, c.want.Distinct())
			wantEqual(t, "pass", v.Pass, c.kind == "")
			wantEqual(t, "imbalances", len(v.Imbalances), 0)
			if c.kind != "" && (len(v.Examples) != 1 || v.Examples[0].Kind != c.kind) {
				t.Errorf("examples %+v, want one of kind %s", v.Examples, c.kind)
			}
		})
	}
}

func TestDeadLetteredInsteadOfServed(t *testing.T) {
	t.Parallel()
	w := newWorld(10, 2)
	w.rows = w.rows[1:]
	w.letters = append(w.letters, record.DeadLetter{Reason: record.Rejected, Detail: "too wide", Raw: []byte(fmt.Sprintf(
		`{"eventId":%q,"deviceId":"d","deviceSequenceNumber":1,"createdAt":"2026-05-04T10:00:00.000000Z"}`, id(0)))})
	v := w.check(t)
	wantEqual(t, "fates", v.Fates, Fates{ServedOnce: 9, DeadLettered: 1})
	wantEqual(t, "missing", v.Events.Missing, 0)
	wantEqual(t, "by reason", v.DeadLetters.ByReason[record.Rejected], 1)
	wantEqual(t, "pass", v.Pass, false)
}

// TestDroppedByPolicy: a letter that says a rule left an event out gives the event
// that fate, and is no dead letter; of an event that was served it changes
// nothing, and of one that nobody sent it is as wrong as any.
func TestDroppedByPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(10, 2)
	w.rows = w.rows[1:]
	for i, n := range []int{0, 5, 77} {
		w.letters = append(w.letters, record.DeadLetter{Reason: record.DroppedByPolicy, Offset: int64(i), Raw: []byte(fmt.Sprintf(
			`{"eventId":%q,"deviceId":"d","deviceSequenceNumber":1,"createdAt":"2026-05-04T10:00:00.000000Z"}`, id(n)))})
	}
	v := w.check(t)
	wantEqual(t, "fates", v.Fates, Fates{ServedOnce: 9, DroppedByPolicy: 1})
	wantEqual(t, "dropped by policy", v.Events.DroppedByPolicy, 1)
	wantEqual(t, "dead-lettered", v.Events.DeadLettered, 1)
	wantEqual(t, "unknown", v.DeadLetters.Unknown, 1)
	wantEqual(t, "imbalances", len(v.Imbalances), 0)
}

func TestNoPlaceForDeadLetters(t *testing.T) {
	t.Parallel()
	w := newWorld(10, 2)
	w.spoil("{", record.NotJSON, true, -1)
	in := w.input()
	in.DeadLetters = nil
	v, err := Check(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "missing", v.DeadLetters.Missing, 1)
}
