package hub

import "millrace/connector/eventhubs/local/amqp"

// BodyValue returns a body that is not made of bytes, for those who need another
// form of it: the value, or the list of all elements of an AMQP sequence. It is
// false for data and for no body at all.
func (e *Event) BodyValue() (v any, ok bool) {
	if len(e.marker) < 2 || e.marker[1] < bodyValue {
		return nil, false
	}
	var m marker
	if !e.open(&m) {
		return nil, false
	}
	if m.kind != bodySections {
		v, _, err := amqp.ReadValue(e.value)
		return v, err == nil
	}
	all := amqp.List{}
	for rest := e.value; len(rest) > 3; {
		var err error
		if v, rest, err = amqp.ReadValue(rest[3:]); err != nil {
			return nil, false
		}
		part, ok := v.(amqp.List)
		if !ok {
			return nil, false
		}
		all = append(all, part...)
	}
	return all, true
}
