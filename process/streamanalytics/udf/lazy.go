package udf

import (
	"reflect"
	"slices"
	"strings"

	"github.com/dop251/goja"

	"millrace/process/streamanalytics/value"
)

// The types by which the engine tells one kind of object from another: two of
// ours, and those whose class it calls Object all the same.
var (
	typeRecord  = reflect.TypeFor[*record]()
	typeArray   = reflect.TypeFor[*array]()
	typePlain   = reflect.TypeFor[map[string]any]()
	typeProxy   = reflect.TypeFor[goja.Proxy]()
	typeMap     = reflect.TypeFor[[][2]any]()
	typeSet     = reflect.TypeFor[[]any]()
	typePromise = reflect.TypeFor[*goja.Promise]()
)

// classOf returns the name of an object's class, by which conversions choose.
// Objects of classes that a script defines are plain Objects.
func classOf(o *goja.Object) string {
	class := o.ClassName()
	if class != "Object" {
		return class
	}
	switch t := o.ExportType(); t {
	case typeRecord, typePlain, typeProxy:
		return class
	case typeArray:
		return "Array"
	case typeMap:
		return "Map"
	case typeSet:
		return "Set"
	case typePromise:
		return "Promise"
	default:
		if t != nil && t.Kind() == reflect.Slice {
			return "typed array"
		}
		return "built-in object"
	}
}

// record is a record as JavaScript sees it. Its members are listed when the
// first one is asked for, and each is converted when it is asked for itself.
type record struct {
	script  *script
	source  value.Value
	listed  bool
	fields  []field
	changed bool
}

// field is a member; converted is nil until it is asked for or set.
type field struct {
	name      string
	member    value.Value
	converted goja.Value
}

// list reads the members, and keeps the last of those with the same name, as
// JSON.parse does.
func (r *record) list() {
	if r.listed {
		return
	}
	r.listed = true
	fields := r.script.fields[:0]
	r.source.Members(func(name string, m value.Value) bool {
		fields = append(fields, field{name: name, member: m})
		return true
	})
	r.fields = append(make([]field, 0, len(fields)), fields...)
	clear(fields)
	r.script.fields = fields
	if n := len(r.fields); n > few && len(slices.Compact(r.sortedNames())) < n || n <= few && r.someTwice() {
		r.dropEqualNames()
	}
}

// few is up to how many names are compared each with each.
const few = 16

func (r *record) someTwice() bool {
	for i := range r.fields {
		if r.index(r.fields[i].name) != i {
			return true
		}
	}
	return false
}

func (r *record) sortedNames() []string {
	names := r.names()
	slices.Sort(names)
	return names
}

func (r *record) names() []string {
	names := make([]string, len(r.fields))
	for i := range r.fields {
		names[i] = r.fields[i].name
	}
	return names
}

func (r *record) dropEqualNames() {
	at := make(map[string]int, len(r.fields))
	kept := r.fields[:0]
	for _, f := range r.fields {
		if first, ok := at[f.name]; ok {
			kept[first].member = f.member
			continue
		}
		at[f.name] = len(kept)
		kept = append(kept, f)
	}
	r.fields = kept
}

// index returns the place of a member that has been listed, -1 for none.
func (r *record) index(key string) int {
	for i := range r.fields {
		if r.fields[i].name == key {
			return i
		}
	}
	return -1
}

// Get returns a member, converted the first time; nil if there is none.
func (r *record) Get(key string) goja.Value {
	r.list()
	i := r.index(key)
	if i < 0 {
		return nil
	}
	f := &r.fields[i]
	if f.converted == nil {
		f.converted = r.script.toJS(f.member)
	}
	return f.converted
}

// Set replaces or adds a member.
func (r *record) Set(key string, v goja.Value) bool {
	r.list()
	i := r.index(key)
	if i < 0 {
		i = len(r.fields)
		// The engine's strings may share memory with longer ones.
		r.fields = append(r.fields, field{name: strings.Clone(key)})
	}
	r.fields[i].converted = v
	r.changed = true
	return true
}

// Has reports whether there is such a member.
func (r *record) Has(key string) bool {
	r.list()
	return r.index(key) >= 0
}

// Delete removes a member.
func (r *record) Delete(key string) bool {
	r.list()
	if i := r.index(key); i >= 0 {
		r.fields = slices.Delete(r.fields, i, i+1)
		r.changed = true
	}
	return true
}

// Keys returns the members' names.
func (r *record) Keys() []string {
	r.list()
	return r.names()
}

// intact reports whether the source still is what JavaScript would see.
func (r *record) intact() bool {
	if r.changed {
		return false
	}
	for i := range r.fields {
		if !intact(r.fields[i].converted) {
			return false
		}
	}
	return true
}

// array is an array as JavaScript sees it, converted element by element.
type array struct {
	script *script
	source value.Value
	// length is -1 until it is asked for.
	length    int
	listed    bool
	elements  []value.Value
	converted []goja.Value
	changed   bool
}

func (a *array) list() {
	if a.listed {
		return
	}
	a.listed = true
	for _, e := range a.source.Elements {
		a.elements = append(a.elements, e)
	}
	a.length = len(a.elements)
	a.converted = make([]goja.Value, a.length)
}

// Len returns the number of elements.
func (a *array) Len() int {
	if a.length < 0 {
		a.length = a.source.Len()
	}
	return a.length
}

// Get returns an element, converted the first time; nil beyond the end.
func (a *array) Get(i int) goja.Value {
	if i < 0 || i >= a.Len() {
		return nil
	}
	a.list()
	if a.converted[i] == nil {
		a.converted[i] = a.script.toJS(a.elements[i])
	}
	return a.converted[i]
}

// Set replaces an element or makes the array longer, up to maxResultNodes.
func (a *array) Set(i int, v goja.Value) bool {
	if i < 0 || i >= a.Len() && !a.SetLen(i+1) {
		return false
	}
	a.list()
	a.converted[i] = v
	a.changed = true
	return true
}

// SetLen makes the array shorter or longer, up to maxResultNodes.
func (a *array) SetLen(n int) bool {
	if n < 0 || n > maxResultNodes {
		return false
	}
	a.list()
	a.changed = true
	for len(a.converted) < n {
		a.converted = append(a.converted, goja.Undefined())
		a.elements = append(a.elements, value.Value{})
	}
	a.converted, a.elements = a.converted[:n], a.elements[:n]
	a.length = n
	return true
}

func (a *array) intact() bool {
	return !a.changed && !slices.ContainsFunc(a.converted, func(v goja.Value) bool { return !intact(v) })
}

// intact reports whether a part that was converted has not been changed. A
// Date can be changed without a trace, so it counts as changed.
func intact(v goja.Value) bool {
	o, ok := v.(*goja.Object)
	if !ok {
		return true
	}
	switch o.ExportType() {
	case typeRecord:
		r, ok := o.Export().(*record)
		return ok && r.intact()
	case typeArray:
		a, ok := o.Export().(*array)
		return ok && a.intact()
	}
	return false
}
