package exec

import (
	"fmt"

	"millrace/process/streamanalytics/function"
	"millrace/process/streamanalytics/udf"
	"millrace/process/streamanalytics/value"
)

// removing is one aggregate over rows that enter and leave: of sliding windows,
// and of aggregates without a window.
type removing struct {
	call  *aggregateCall
	state function.Remover
	user  *udf.State
}

func (c *aggregateCall) removing() (removing, error) {
	if c.user != nil {
		s, err := c.user.New()
		if err != nil {
			return removing{}, placed(c.plan.Pos, err)
		}
		return removing{call: c, user: s}, nil
	}
	s, ok := c.function.New(c.options).(function.Remover)
	if !ok {
		return removing{}, placed(c.plan.Pos, fmt.Errorf("%s cannot be used where rows leave a window one by one", c.function.Name))
	}
	return removing{call: c, state: s}, nil
}

func (m *removing) size() int64 {
	if m.user != nil {
		return int64(m.user.Size())
	}
	return int64(m.state.Size())
}

func (m *removing) add(args []value.Value, at int64) error {
	var err error
	if m.user != nil {
		m.call.runtime.SetTime(at)
		err = m.user.Accumulate(args, at)
	} else {
		err = m.state.Add(args, at)
	}
	if err != nil {
		return placed(m.call.plan.Pos, err)
	}
	return nil
}

// remove takes out the oldest row. rest are those that stay, for aggregates
// that cannot take a row out and are computed anew.
func (m *removing) remove(e *entered, rest *deque[entered]) error {
	if m.user == nil {
		m.state.Remove(m.call.mine(e.args), e.at)
		return nil
	}
	var err error
	if m.call.user.Info().Deaccumulates {
		m.call.runtime.SetTime(e.at)
		err = m.user.Deaccumulate(m.call.mine(e.args), e.at)
	} else {
		m.user, err = m.call.user.New()
		for i := 0; err == nil && i < rest.len(); i++ {
			o := rest.at(i)
			m.call.runtime.SetTime(o.at)
			err = m.user.Accumulate(m.call.mine(o.args), o.at)
		}
	}
	if err != nil {
		return placed(m.call.plan.Pos, err)
	}
	return nil
}

func (m *removing) result() (value.Value, error) {
	var v value.Value
	var err error
	if m.user != nil {
		v, err = m.user.Result()
	} else {
		v, err = m.state.Result()
	}
	if err != nil {
		err = placed(m.call.plan.Pos, err)
	}
	return v, err
}

// entered is a row that an aggregate holds: its time and its arguments for all
// calls.
type entered struct {
	at   int64
	args []value.Value
	size int64
}

const enteredSize = 40

func enter(at int64, args []value.Value) entered {
	kept, size := cloneSlots(args)
	return entered{at: at, args: kept, size: size + enteredSize}
}

// deque is a queue that grows at its end and shrinks at its front.
type deque[T any] struct {
	items []T
	head  int
}

func (q *deque[T]) len() int    { return len(q.items) - q.head }
func (q *deque[T]) at(i int) *T { return &q.items[q.head+i] }
func (q *deque[T]) push(item T) { q.items = append(q.items, item) }
func (q *deque[T]) front() *T   { return &q.items[q.head] }

// pop takes the first item out. The memory of the array is used again once half
// of it is free.
func (q *deque[T]) pop() T {
	var zero T
	item := q.items[q.head]
	q.items[q.head] = zero
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
		if cap(q.items) > 64 {
			q.items = nil
		}
	} else if q.head >= 16 && q.head*2 >= len(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return item
}
