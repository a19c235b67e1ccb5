package udf

import (
	"fmt"

	"github.com/dop251/goja"

	"millrace/process/streamanalytics/value"
)

// Aggregate is a JavaScript aggregate bound to an engine: a constructor whose
// objects have the methods init, accumulate(value, timestamp) and
// computeResult, and may have deaccumulate(value, timestamp) and
// deaccumulateState(other).
type Aggregate struct {
	script    *script
	info      Info
	name      string
	construct *goja.Object
}

// Aggregate returns uda.name. It constructs one object to see its methods.
func (r *Runtime) Aggregate(name string) (_ *Aggregate, err error) {
	sym := r.library.find(name)
	if sym == nil {
		return nil, r.unknown("uda", name)
	}
	s, err := r.script(sym.file)
	if err != nil {
		return nil, err
	}
	a := &Aggregate{script: s, name: "uda." + sym.name, info: Info{Name: sym.name, File: sym.file.name, Line: sym.line}}
	v, err := s.vm.RunString(sym.identifier)
	if err != nil {
		return nil, s.newError(a.name, err)
	}
	a.construct, _ = v.(*goja.Object)
	if _, ok := goja.AssertConstructor(v); !ok {
		return nil, fmt.Errorf("%s is not a constructor (%s:%d): an aggregate is a function that sets this.init, this.accumulate and this.computeResult",
			a.name, sym.file.name, sym.line)
	}
	st, err := a.construct1()
	if err != nil {
		return nil, err
	}
	for _, m := range []struct {
		name string
		call goja.Callable
	}{{"init", st.init}, {"accumulate", st.accumulate}, {"computeResult", st.computeResult}} {
		if m.call == nil {
			return nil, fmt.Errorf("%s has no method %s (%s:%d): an aggregate sets this.init, this.accumulate and this.computeResult",
				a.name, m.name, sym.file.name, sym.line)
		}
	}
	a.info.Params = st.params
	a.info.Deaccumulates = st.deaccumulate != nil
	a.info.DeaccumulatesState = st.deaccumulateState != nil
	return a, nil
}

// Info describes the aggregate.
func (a *Aggregate) Info() Info { return a.info }

// State is the state of one aggregate over one group and window: a JavaScript
// object. It belongs to the goroutine of its Runtime.
type State struct {
	aggregate *Aggregate
	object    *goja.Object

	init, accumulate, deaccumulate, deaccumulateState, computeResult goja.Callable

	params int
	size   sizer
}

// New returns the state of an empty group: a new object on which init was
// called.
func (a *Aggregate) New() (*State, error) {
	st, err := a.construct1()
	if err != nil {
		return nil, err
	}
	if err := st.run("init", st.init); err != nil {
		return nil, err
	}
	return st, nil
}

// construct1 makes one object and looks its methods up.
func (a *Aggregate) construct1() (st *State, err error) {
	s := a.script
	s.guard.enter()
	defer s.leave(a.name, &err)
	o, thrown := s.vm.New(a.construct)
	if thrown != nil {
		return nil, s.newError(a.name, thrown)
	}
	st = &State{aggregate: a, object: o}
	thrown = st.bind()
	if thrown != nil {
		return nil, s.newError(a.name, thrown)
	}
	return st, nil
}

// bind looks the methods up. It returns what a getter of the user's threw.
func (st *State) bind() error {
	thrown := st.aggregate.script.vm.Try(func() {
		method := func(name string) goja.Callable {
			call, _ := goja.AssertFunction(st.object.Get(name))
			return call
		}
		st.init = method("init")
		if st.accumulate = method("accumulate"); st.accumulate != nil {
			st.params = int(st.object.Get("accumulate").(*goja.Object).Get("length").ToInteger())
		}
		st.deaccumulate = method("deaccumulate")
		st.deaccumulateState = method("deaccumulateState")
		st.computeResult = method("computeResult")
	})
	if thrown != nil {
		return thrown
	}
	return nil
}

// Accumulate adds one event: its arguments, of which the service allows one,
// and its time in ticks, which JavaScript gets as a Date behind them. The
// arguments may be views.
func (st *State) Accumulate(args []value.Value, at int64) error {
	return st.event("accumulate", st.accumulate, args, at)
}

// Deaccumulate takes one event away that was added, with the same arguments.
func (st *State) Deaccumulate(args []value.Value, at int64) error {
	return st.event("deaccumulate", st.deaccumulate, args, at)
}

// DeaccumulateState takes away all events of another state of the same
// aggregate and Runtime.
func (st *State) DeaccumulateState(other *State) error {
	return st.run("deaccumulateState", st.deaccumulateState, other.object)
}

func (st *State) event(method string, call goja.Callable, args []value.Value, at int64) (err error) {
	s := st.aggregate.script
	if call == nil {
		return st.noMethod(method)
	}
	st.size.changed()
	s.guard.enter()
	defer s.leave(st.aggregate.name, &err)
	js := append(s.arguments(args), s.toDate(at))
	if _, thrown := call(st.object, js...); thrown != nil {
		return s.newError(st.aggregate.name+"."+method, thrown)
	}
	return nil
}

func (st *State) run(method string, call goja.Callable, args ...goja.Value) (err error) {
	s := st.aggregate.script
	if call == nil {
		return st.noMethod(method)
	}
	st.size.changed()
	s.guard.enter()
	defer s.leave(st.aggregate.name+"."+method, &err)
	if _, thrown := call(st.object, args...); thrown != nil {
		return s.newError(st.aggregate.name+"."+method, thrown)
	}
	return nil
}

func (st *State) noMethod(method string) error {
	return fmt.Errorf("%s has no method %s", st.aggregate.name, method)
}

// Result calls computeResult and converts what it returns.
func (st *State) Result() (result value.Value, err error) {
	s := st.aggregate.script
	if st.computeResult == nil {
		return value.Value{}, st.noMethod("computeResult")
	}
	name := st.aggregate.name + ".computeResult"
	s.guard.enter()
	defer s.leave(name, &err)
	v, thrown := st.computeResult(st.object)
	if thrown != nil {
		return value.Value{}, s.newError(name, thrown)
	}
	return s.result(name, v)
}
