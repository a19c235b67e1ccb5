package value

import "unsafe"

// Raw is the JSON text of an array or object, as the document has it, and nil
// of everything else. It is a view like v itself: the bytes must not be
// changed, and are good as long as v is.
func (v Value) Raw() []byte {
	if v.kind != KindArray && v.kind != KindObject {
		return nil
	}
	return unsafe.Slice(unsafe.StringData(v.text), len(v.text))
}
