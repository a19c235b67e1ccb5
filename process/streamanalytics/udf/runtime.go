package udf

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/dop251/goja"

	"millrace/process/streamanalytics/value"
)

// Runtime is an engine for the functions of a library, for one goroutine at a
// time. It starts no goroutine of its own except while functions are called,
// and needs no closing.
type Runtime struct {
	library *Library
	// scripts has one engine per file, made when first needed.
	scripts []*script
	now     int64
	// draws counts the random numbers since the clock was set.
	draws uint64
}

// script is one file in its engine.
type script struct {
	file    *source
	options Options
	vm      *goja.Runtime
	guard   guard
	// classes are the built-in constructors, from before the user's file
	// could replace them.
	classes         map[string]*goja.Object
	objectPrototype *goja.Object
	newDate         *goja.Object
	// clock is the Runtime whose time the file sees.
	clock *Runtime
	// args, fields and text are reused from call to call.
	args   []goja.Value
	fields []field
	text   []byte
}

// NewRuntime returns an engine for the library's functions.
func (l *Library) NewRuntime() (*Runtime, error) {
	if l == nil {
		return &Runtime{}, nil
	}
	return &Runtime{library: l, scripts: make([]*script, len(l.files))}, nil
}

// SetTime sets what JavaScript takes for the current time, in ticks: the
// event's System.Timestamp. It seeds Math.random as well.
func (r *Runtime) SetTime(ticks int64) {
	if ticks != r.now {
		r.now, r.draws = ticks, 0
	}
}

// random returns the next of the numbers that belong to the current time.
func (r *Runtime) random() float64 {
	r.draws++
	// Two rounds of a 128 bit multiplication mix time and count.
	x := uint64(r.now) ^ 0x9e3779b97f4a7c15
	y := r.draws * 0xd1342543de82ef95
	for range 2 {
		hi, lo := bits.Mul64(x^0xa0761d6478bd642f, y^0xe7037ed1a0b428db)
		x, y = hi^lo, hi+y
	}
	return float64(x>>11) / (1 << 53)
}

// newScript runs a file in a new engine.
func newScript(file *source, options Options) (_ *script, err error) {
	s := &script{file: file, options: options, vm: goja.New()}
	s.guard = guard{vm: s.vm, options: options}
	s.vm.SetMaxCallStackSize(options.MaxDepth)
	s.vm.SetTimeSource(func() time.Time {
		if s.clock == nil {
			return value.ToGoTime(0)
		}
		return value.ToGoTime(s.clock.now)
	})
	s.vm.SetRandSource(func() float64 {
		if s.clock == nil {
			return 0
		}
		return s.clock.random()
	})
	s.classes = map[string]*goja.Object{}
	for _, class := range []string{"Date", "Map", "Set", "RegExp"} {
		s.classes[class] = s.vm.Get(class).ToObject(s.vm)
	}
	s.objectPrototype = s.vm.NewObject().Prototype()
	s.newDate = s.classes["Date"]
	setUp, err := s.vm.RunProgram(file.prelude)
	if err != nil {
		return nil, fmt.Errorf("running the prelude: %w", err)
	}
	call, _ := goja.AssertFunction(setUp)
	_, err = call(goja.Undefined(), s.vm.GlobalObject(),
		s.vm.ToValue(nestsTooDeep), s.vm.ToValue(localAsUTC), s.vm.ToValue(s.stringify))
	if err != nil {
		return nil, fmt.Errorf("running the prelude: %w", err)
	}
	s.guard.enter()
	defer s.leave("", &err)
	if _, err := s.vm.RunProgram(file.program); err != nil {
		return nil, s.newError("", err)
	}
	return s, nil
}

// nestsTooDeep reports whether JSON text nests deeper than an input's may.
func nestsTooDeep(text string) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted:
			if c == '\\' {
				i++
			} else if c == '"' {
				quoted = false
			}
		case c == '"':
			quoted = true
		case c == '[' || c == '{':
			if depth++; depth > value.MaxDepth {
				return true
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return false
}

// localAsUTC takes what the machine's clock shows at a time for UTC.
func localAsUTC(ms int64) int64 {
	_, offset := time.UnixMilli(ms).In(time.Local).Zone()
	return ms + int64(offset)*1000
}

// script returns the engine of a file.
func (r *Runtime) script(file *source) (*script, error) {
	if s := r.scripts[file.index]; s != nil {
		return s, nil
	}
	s, err := newScript(file, r.library.options)
	if err != nil {
		return nil, err
	}
	s.clock = r
	r.scripts[file.index] = s
	return s, nil
}

// unknown is the error for a name that the library does not have.
func (r *Runtime) unknown(prefix, name string) error {
	if r.library == nil || len(r.library.symbols) == 0 {
		return fmt.Errorf("%s.%s is not defined: no JavaScript file was given", prefix, name)
	}
	return fmt.Errorf("%s.%s is not defined in the JavaScript files", prefix, name)
}

// Function is a function bound to an engine.
type Function struct {
	script *script
	info   Info
	name   string
	call   goja.Callable
}

// Function returns udf.name, found as Library.Function does.
func (r *Runtime) Function(name string) (*Function, error) {
	sym := r.library.find(name)
	if sym == nil {
		return nil, r.unknown("udf", name)
	}
	if sym.class {
		return nil, fmt.Errorf("udf.%s is a class, not a function (%s:%d)", name, sym.file.name, sym.line)
	}
	s, err := r.script(sym.file)
	if err != nil {
		return nil, err
	}
	v, err := s.vm.RunString(sym.identifier)
	if err != nil {
		return nil, s.newError("udf."+sym.name, err)
	}
	call, ok := goja.AssertFunction(v)
	if !ok {
		return nil, r.unknown("udf", name)
	}
	info, _ := r.library.Function(name)
	return &Function{script: s, info: info, name: "udf." + sym.name, call: call}, nil
}

// Info describes the function.
func (f *Function) Info() Info { return f.info }

// Call runs the function. The arguments may be views: whatever JavaScript can
// keep is copied. The result owns its memory. Errors are *Error.
func (f *Function) Call(args []value.Value) (result value.Value, err error) {
	s := f.script
	s.guard.enter()
	defer s.leave(f.name, &err)
	v, thrown := f.call(goja.Undefined(), s.arguments(args)...)
	if thrown != nil {
		return value.Value{}, s.newError(f.name, thrown)
	}
	return s.result(f.name, v)
}

// leave ends a call of the engine, and makes an error of a panic: the engine
// reports some of its own faults so.
func (s *script) leave(function string, err *error) {
	if x := recover(); x != nil {
		thrown, ok := x.(error)
		if !ok {
			thrown = fmt.Errorf("the JavaScript engine failed: %v", x)
		}
		*err = s.newError(function, thrown)
	}
	s.guard.leave()
}

// arguments converts the arguments of a call.
func (s *script) arguments(args []value.Value) []goja.Value {
	s.args = s.args[:0]
	for _, a := range args {
		if k := a.Kind(); k == value.Record || k == value.Array {
			a = a.Clone()
		}
		s.args = append(s.args, s.toJS(a))
	}
	return s.args
}
