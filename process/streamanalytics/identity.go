package streamanalytics

import (
	"crypto/sha256"
	"strconv"

	"millrace/process/streamanalytics/exec"
	"millrace/process/streamanalytics/value"
	"millrace/record"
)

// A row that is no event becomes one by the rule of docs/formats/rows.md, which
// whoever checks the rows repeats.

// identity makes ids of rows. It keeps memory for one after the other.
type identity struct{ text, part []byte }

// add adds a part: its length in digits, a colon, itself, and a comma.
func (d *identity) add(part []byte) {
	d.text = strconv.AppendInt(d.text, int64(len(part)), 10)
	d.text = append(d.text, ':')
	d.text = append(d.text, part...)
	d.text = append(d.text, ',')
}

func (d *identity) number(n int64) {
	d.part = strconv.AppendInt(d.part[:0], n, 10)
	d.add(d.part)
}

// of is the id of a row at a place in the results.
func (d *identity) of(o *output, r *exec.Row, device []byte, partition int32, offset int64, index int32) (id record.ID) {
	d.text = d.text[:0]
	d.add([]byte(o.name))
	d.add(device)
	d.part = value.AppendTime(d.part[:0], r.Time)
	d.add(d.part)
	if o.placed {
		d.number(int64(partition))
		d.number(offset)
		d.number(int64(index))
	}
	for _, k := range o.keys {
		d.add([]byte(k.name))
		d.part = r.Slots[k.slot].AppendJSON(d.part[:0])
		d.add(d.part)
	}
	sum := sha256.Sum256(d.text)
	copy(id[:], sum[:])
	id[6] = id[6]&0x0f | 0x80 // version 8: made by a rule of one's own
	id[8] = id[8]&0x3f | 0x80
	return id
}

// deviceOf is the device of a row: its column's text; a row without one is the
// output's.
func (o *output) deviceOf(dst []byte, r *exec.Row) []byte {
	if o.device >= 0 {
		switch v := r.Slots[o.device]; {
		case v.Kind() == value.String:
			dst = append(dst, v.Str()...)
		case !v.IsNull():
			dst = v.AppendJSON(dst)
		}
	}
	if len(dst) == 0 {
		dst = append(dst, o.name...)
	}
	return dst
}

// appendEvent appends the members that make a row an event, without the closing
// brace.
func (o *output) appendEvent(dst []byte, r *exec.Row, id record.ID, device []byte) []byte {
	at := r.Time / 10
	dst = append(dst, `{"`+memberID+`":"`...)
	dst = record.AppendID(dst, id)
	dst = append(dst, `","`+memberDevice+`":`...)
	dst = record.AppendString(dst, device)
	dst = append(dst, `,"`+memberSequence+`":`...)
	if o.sequence >= 0 {
		dst = r.Slots[o.sequence].AppendJSON(dst)
	} else {
		dst = strconv.AppendInt(dst, at, 10)
	}
	dst = append(dst, `,"`+memberCreated+`":`...)
	if o.created >= 0 && !r.Slots[o.created].IsNull() {
		v := r.Slots[o.created]
		if v.Kind() != value.DateTime {
			return v.AppendJSON(dst)
		}
		at = v.Ticks() / 10
	}
	dst = append(dst, '"')
	dst = record.AppendTime(dst, at)
	return append(dst, '"')
}
