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
	script *script
	source value.Value
	// names and members are in order; converted has what was asked for or
	// set, nil where the member still stands.
	listed    bool
	names     []string
	members   []value.Value
	converted []goja.Value
	changed   bool
}

// list reads the members, and keeps the last of those with the same name, as
// JSON.parse does.
func (r *record) list() {
	if r.listed {
		return
	}
	r.listed = true
	n := 0
	r.source.Members(func(name string, m value.Value) bool {
		if n++; n > 8 {
			// With many members, look for equal names afterwards.
			r.names, r.members = append(r.names, name), append(r.members, m)
		} else if i := slices.Index(r.names, name); i >= 0 {
			r.members[i] = m
		} else {
			r.names, r.members = append(r.names, name), append(r.members, m)
		}
		return true
	})
	if n > 8 {
		r.dropEqualNames()
	}
	r.converted = make([]goja.Value, len(r.names))
}

func (r *record) dropEqualNames() {
	sorted := slices.Sorted(slices.Values(r.names))
	if len(slices.Compact(sorted)) == len(r.names) {
		return
	}
	at := make(map[string]int, len(r.names))
	kept := 0
	for i, name := range r.names {
		if first, ok := at[name]; ok {
			r.members[first] = r.members[i]
			continue
		}
		at[name] = kept
		r.names[kept], r.members[kept] = name, r.members[i]
		kept++
	}
	r.names, r.members = r.names[:kept], r.members[:kept]
}

func (r *record) index(key string) int {
	r.list()
	return slices.Index(r.names, key)
}

// Get returns a member, converted the first time; nil if there is none.
func (r *record) Get(key string) goja.Value {
	i := r.index(key)
	if i < 0 {
		return nil
	}
	if r.converted[i] == nil {
		r.converted[i] = r.script.toJS(r.members[i])
	}
	return r.converted[i]
}

// Set replaces or adds a member.
func (r *record) Set(key string, v goja.Value) bool {
	i := r.index(key)
	if i < 0 {
		i = len(r.names)
		// The engine's strings may share memory with longer ones.
		r.names, r.members = append(r.names, strings.Clone(key)), append(r.members, value.Value{})
		r.converted = append(r.converted, nil)
	}
	r.converted[i] = v
	r.changed = true
	return true
}

// Has reports whether there is such a member.
func (r *record) Has(key string) bool { return r.index(key) >= 0 }

// Delete removes a member.
func (r *record) Delete(key string) bool {
	if i := r.index(key); i >= 0 {
		r.names, r.members = slices.Delete(r.names, i, i+1), slices.Delete(r.members, i, i+1)
		r.converted = slices.Delete(r.converted, i, i+1)
		r.changed = true
	}
	return true
}

// Keys returns the members' names.
func (r *record) Keys() []string {
	r.list()
	return r.names
}

// intact reports whether the source still is what JavaScript would see.
func (r *record) intact() bool { return !r.changed && allIntact(r.converted) }

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

func (a *array) intact() bool { return !a.changed && allIntact(a.converted) }

// allIntact reports whether none of the converted objects has been changed.
// A Date can be changed without a trace, so it counts as changed.
func allIntact(values []goja.Value) bool {
	for _, v := range values {
		o, ok := v.(*goja.Object)
		if !ok {
			continue
		}
		switch o.ExportType() {
		case typeRecord:
			if r, ok := o.Export().(*record); !ok || !r.intact() {
				return false
			}
		case typeArray:
			if a, ok := o.Export().(*array); !ok || !a.intact() {
				return false
			}
		default:
			return false
		}
	}
	return true
}
