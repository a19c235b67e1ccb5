package simulate

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"millrace/record"
)

// A template is JSON text with placeholders in double braces. They are
// replaced as text, so that a placeholder for a string stands between quotes:
//
//	{"eventId":"{{eventId}}","deviceId":"{{deviceId}}",
//	 "deviceSequenceNumber":{{deviceSequenceNumber}},"createdAt":"{{createdAt}}",
//	 "site":"{{choice north south}}","load":{{double 0 100 2}},"on":{{bool}}}
//
//	eventId                   the event's UUID
//	deviceId                  the device's name
//	deviceSequenceNumber      the device's events, counted from 0
//	createdAt                 when the event was created (RFC 3339, UTC, microseconds)
//	deviceIndex               the number of the device, from 0
//	double MIN MAX [DECIMALS] a number from MIN to below MAX; without DECIMALS
//	                          with 15 significant digits
//	int MIN MAX               an integer from MIN to MAX
//	choice A B ...            one of the words
//	bool                      true or false
//	hex N                     N hexadecimal digits
//	counter START STEP        START, raised by STEP with each event of the device
//
// The first four must come out as the top-level members of these names; this is
// checked before anything is sent. Everything follows from the seed, the device
// and its sequence number.
type template struct {
	segments []segment
	prefix   []byte // of deviceId, escaped for JSON
	seed     uint64
	// text is what was compiled, size how long an event was last.
	text string
}

// op is what a placeholder stands for.
type op uint8

const (
	opNone op = iota
	opEventID
	opDeviceID
	opSequence
	opCreatedAt
	opDeviceIndex
	opDouble
	opInt
	opChoice
	opBool
	opHex
	opCounter
)

// segment is a piece of fixed text and the placeholder behind it.
type segment struct {
	text []byte
	op   op
	// low and span are the range of random integers, for opDouble in units
	// of the last decimal; for opCounter start and step.
	low      int64
	span     uint64
	decimals int
	choices  [][]byte
}

// event is what the content of one event follows from.
type event struct {
	device    uint32
	sequence  int64
	createdAt int64
	// state is derived from the seed, the device and the sequence.
	state uint64
	id    record.ID
}

const golden = 0x9e3779b97f4a7c15

// mix is the finaliser of SplitMix64: a bijection that turns any pattern in its
// argument into noise.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// newEvent derives an event. Content has a counter-based generator instead of
// a running one, so that any event can be made again at any time: for
// duplicates, and when a run goes on.
func newEvent(seed uint64, device uint32, sequence, createdAt int64) event {
	s := mix(seed + golden)
	// 24 bits of device and 40 of sequence: no two events of a run share a
	// state, nor (but for the six bits that the UUID's layout takes) an ID.
	state := mix(s ^ (uint64(device)<<40 | uint64(sequence)))
	e := event{device: device, sequence: sequence, createdAt: createdAt, state: state}
	low := mix(state ^ s ^ golden)
	for i := range 8 {
		e.id[i], e.id[8+i] = byte(state>>(56-8*i)), byte(low>>(56-8*i))
	}
	e.id[6] = e.id[6]&0x0f | 0x40 // the layout of version 4: random
	e.id[8] = e.id[8]&0x3f | 0x80
	return e
}

// random returns the event's n-th random word.
func (e *event) random(n uint64) uint64 { return mix(e.state + (n+1)*golden) }

// The choices made per event beside its content.
const (
	saltDuplicate = 0xd1b54a32d192ed03 + iota
	saltDelay
	saltMalformed
	saltLate
	saltOutOfOrder
	saltShuffle
	saltBroken
)

// chance is true with the given probability, decided by word.
func chance(word uint64, p float64) bool { return float64(word>>11) < p*(1<<53) }

// standardTemplate is the standard event.
func standardTemplate(complexData int) string {
	var b strings.Builder
	b.WriteString(`{"eventId":"{{eventId}}","complexData":{`)
	for i := range complexData {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"moreData%d":{{double 10 100}}`, i)
	}
	b.WriteString(`},"value":{{double 10 100}},"deviceId":"{{deviceId}}","deviceSequenceNumber":{{deviceSequenceNumber}},` +
		`"type":"{{choice TEMP CO2}}","createdAt":"{{createdAt}}"}`)
	return b.String()
}

// compile reads the configured template and checks it.
func (c *Config) compile(seed uint64) (*template, error) {
	text, path, err := c.templateText()
	if err != nil {
		return nil, err
	}
	t := &template{seed: seed, text: text}
	quoted := record.AppendString(nil, c.DevicePrefix)
	t.prefix = quoted[1 : len(quoted)-1]
	if err := t.parse(text); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := t.check(c.DevicePrefix, c.Devices); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

func (t *template) parse(text string) error {
	for {
		fixed, rest, found := strings.Cut(text, "{{")
		if !found {
			t.segments = append(t.segments, segment{text: []byte(fixed)})
			return nil
		}
		inside, after, found := strings.Cut(rest, "}}")
		if !found {
			return fmt.Errorf("a placeholder is not closed: {{%.30s", rest)
		}
		s, err := parsePlaceholder(strings.Fields(inside))
		if err != nil {
			return fmt.Errorf("{{%s}}: %w", inside, err)
		}
		s.text = []byte(fixed)
		t.segments = append(t.segments, s)
		text = after
	}
}

func parsePlaceholder(words []string) (segment, error) {
	if len(words) == 0 {
		return segment{}, errors.New("the placeholder is empty")
	}
	args := words[1:]
	simple := map[string]op{"eventId": opEventID, "deviceId": opDeviceID, "deviceSequenceNumber": opSequence,
		"createdAt": opCreatedAt, "deviceIndex": opDeviceIndex, "bool": opBool}
	if o, ok := simple[words[0]]; ok {
		if len(args) > 0 {
			return segment{}, errors.New("it takes no arguments")
		}
		return segment{op: o}, nil
	}
	switch words[0] {
	case "double":
		return parseDouble(args)
	case "int":
		low, high, err := twoInts(args, "int MIN MAX")
		if err != nil {
			return segment{}, err
		}
		if low > high {
			return segment{}, errors.New("MIN is above MAX")
		}
		return segment{op: opInt, low: low, span: uint64(high) - uint64(low) + 1}, nil
	case "counter":
		start, step, err := twoInts(args, "counter START STEP")
		return segment{op: opCounter, low: start, span: uint64(step)}, err
	case "choice":
		if len(args) == 0 {
			return segment{}, errors.New("write it as: choice A B (any number of words)")
		}
		s := segment{op: opChoice, span: uint64(len(args))}
		for _, a := range args {
			s.choices = append(s.choices, []byte(a))
		}
		return s, nil
	case "hex":
		if len(args) == 1 {
			if n, err := strconv.Atoi(args[0]); err == nil && n >= 1 && n <= 1<<20 {
				return segment{op: opHex, decimals: n}, nil
			}
		}
		return segment{}, errors.New("write it as: hex N, with N from 1 to 1048576")
	}
	return segment{}, errors.New("there is no such placeholder; there are eventId, deviceId, deviceSequenceNumber, createdAt, " +
		"deviceIndex, double, int, choice, bool, hex and counter")
}

func twoInts(args []string, usage string) (a, b int64, err error) {
	if len(args) == 2 {
		var errA, errB error
		a, errA = strconv.ParseInt(args[0], 10, 64)
		b, errB = strconv.ParseInt(args[1], 10, 64)
		if errA == nil && errB == nil {
			return a, b, nil
		}
	}
	return 0, 0, fmt.Errorf("write it as: %s, with integers", usage)
}

// maxDigits is how many decimal digits a double keeps whatever they are.
const maxDigits = 15

func parseDouble(args []string) (segment, error) {
	usage := errors.New("write it as: double MIN MAX [DECIMALS], with MIN below MAX")
	if len(args) != 2 && len(args) != 3 {
		return segment{}, usage
	}
	low, errL := strconv.ParseFloat(args[0], 64)
	high, errH := strconv.ParseFloat(args[1], 64)
	if errL != nil || errH != nil || !(low < high) {
		return segment{}, usage
	}
	// MAX itself is never reached, so 100 needs two digits before the point.
	largest := math.Max(math.Abs(low), math.Nextafter(math.Abs(high), 0))
	whole := len(strconv.FormatFloat(math.Trunc(largest), 'f', 0, 64))
	decimals := maxDigits - whole
	if len(args) == 3 {
		n, err := strconv.Atoi(args[2])
		if err != nil || n < 0 || n > decimals {
			return segment{}, fmt.Errorf("DECIMALS must be 0 to %d here: a double has %d digits in all", max(0, decimals), maxDigits)
		}
		decimals = n
	}
	if decimals < 0 {
		return segment{}, fmt.Errorf("MIN and MAX must have at most %d digits", maxDigits)
	}
	scale := math.Pow10(decimals)
	s := segment{op: opDouble, low: int64(math.Round(low * scale)), decimals: decimals}
	s.span = uint64(int64(math.Round(high*scale)) - s.low)
	if s.span == 0 {
		return segment{}, errors.New("with so few decimals there is no number from MIN to MAX")
	}
	return s, nil
}

// check renders samples and decodes them.
func (t *template) check(prefix string, devices int) error {
	header := record.LedgerHeader{DevicePrefix: prefix}
	for n := range 32 {
		e := newEvent(t.seed+uint64(n), uint32((n*n*n)%devices), int64(n)*1001, 1767366245123456+int64(n))
		sample := t.render(nil, &e)
		if !json.Valid(sample) {
			// Decode would say so too, but this speaks of the template.
			var v any
			return fmt.Errorf("what it renders is not JSON: %w (%s)", json.Unmarshal(sample, &v), shorten(sample))
		}
		var d record.Event
		if err := d.Decode(sample); err != nil {
			return fmt.Errorf("what it renders is not an event: %w (%s)", err, shorten(sample))
		}
		wrong := ""
		switch {
		case d.ID != e.id:
			wrong = "eventId"
		case string(d.DeviceID) != record.DeviceName(&header, e.device):
			wrong = "deviceId"
		case d.Sequence != e.sequence:
			wrong = "deviceSequenceNumber"
		case d.CreatedAt != e.createdAt:
			wrong = "createdAt"
		}
		if wrong != "" {
			return fmt.Errorf("the top-level member %s must be what the placeholder {{%s}} gives (%s)", wrong, wrong, shorten(sample))
		}
	}
	return nil
}

func shorten(b []byte) string {
	if len(b) > 200 {
		return string(b[:200]) + "..."
	}
	return string(b)
}

// render appends the event's JSON. It does not change t.
func (t *template) render(dst []byte, e *event) []byte {
	for i := range t.segments {
		s := &t.segments[i]
		dst = append(dst, s.text...)
		switch s.op {
		case opDouble:
			n, _ := bits.Mul64(e.random(uint64(i)), s.span)
			dst = appendFixed(dst, s.low+int64(n), s.decimals)
		case opEventID:
			dst = record.AppendID(dst, e.id)
		case opDeviceID:
			dst = append(dst, t.prefix...)
			dst = strconv.AppendUint(dst, uint64(e.device), 10)
		case opSequence:
			dst = strconv.AppendInt(dst, e.sequence, 10)
		case opCreatedAt:
			dst = record.AppendTime(dst, e.createdAt)
		case opDeviceIndex:
			dst = strconv.AppendUint(dst, uint64(e.device), 10)
		case opInt:
			n := e.random(uint64(i))
			if s.span != 0 { // 0: all 64 bits
				n, _ = bits.Mul64(n, s.span)
			}
			dst = strconv.AppendInt(dst, int64(uint64(s.low)+n), 10)
		case opChoice:
			n, _ := bits.Mul64(e.random(uint64(i)), s.span)
			dst = append(dst, s.choices[n]...)
		case opBool:
			dst = strconv.AppendBool(dst, e.random(uint64(i))&1 == 0)
		case opHex:
			dst = appendHex(dst, e, uint64(i), s.decimals)
		case opCounter:
			dst = strconv.AppendInt(dst, s.low+int64(s.span)*e.sequence, 10)
		}
	}
	return dst
}

func appendHex(dst []byte, e *event, n uint64, digits int) []byte {
	var word uint64
	for d := range digits {
		if d%16 == 0 {
			word = e.random(n<<32 | uint64(d))
		}
		dst = append(dst, "0123456789abcdef"[word&0x0f])
		word >>= 4
	}
	return dst
}

// appendFixed appends v / 10^decimals with all its decimals (at most 15).
// Formatting an integer is several times faster than a double, and with at most
// 15 digits the text is one that a double gives back.
func appendFixed(dst []byte, v int64, decimals int) []byte {
	u := uint64(v)
	if v < 0 {
		dst = append(dst, '-')
		u = -u
	}
	if u >= 1e16 || decimals == 0 {
		return appendWide(dst, u, decimals)
	}
	// Digits at 1 to 16; those before the point then move one to the left.
	var text [17]byte
	binary.LittleEndian.PutUint64(text[1:], eightDigits(u/1e8))
	binary.LittleEndian.PutUint64(text[9:], eightDigits(u%1e8))
	point := 16 - decimals
	first := 1
	for first < point && text[first] == '0' {
		first++
	}
	for i := first; i <= point; i++ {
		text[i-1] = text[i]
	}
	text[point] = '.'
	return append(dst, text[first-1:]...)
}

// appendWide is appendFixed for numbers of any size.
func appendWide(dst []byte, u uint64, decimals int) []byte {
	start := len(dst)
	dst = strconv.AppendUint(dst, u, 10)
	if decimals == 0 {
		return dst
	}
	for len(dst)-start <= decimals {
		dst = slices.Insert(dst, start, '0')
	}
	return slices.Insert(dst, len(dst)-decimals, '.')
}

// eightDigits returns the decimal digits of v, below 10^8, the first in the
// lowest byte. It halves the number of digits per lane three times, all lanes
// at once: the divisions by 100 and 10 are multiplications that are exact for
// numbers this small.
func eightDigits(v uint64) uint64 {
	v = v/10000 | v%10000<<32
	high := v * 10486 >> 20 & (0x7f<<32 | 0x7f)
	v = (v-100*high)<<16 + high
	high = v * 103 >> 10 & 0x000f000f000f000f
	return (v-10*high)<<8 + high + 0x3030303030303030
}
