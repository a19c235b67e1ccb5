package settings

import (
	"encoding"
	"fmt"
	"math"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// setScalar parses n's text into v. The error says what was expected, after
// "must be".
func setScalar(v reflect.Value, n *Node) error {
	text := n.Text
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
		return nil
	case reflect.Bool:
		if n.Quoted || text != "true" && text != "false" && (!n.Loose || text != "1" && text != "0") {
			return fmt.Errorf("must be true or false")
		}
		v.SetBool(text == "true" || text == "1")
		return nil
	}
	if n.Quoted {
		return fmt.Errorf("must be a number, not text in quotes")
	}
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), v.Type().Bits())
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return fmt.Errorf("must be a number")
		}
		v.SetFloat(f)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i, err := parseInt(text)
		if err != nil {
			return err
		}
		if v.OverflowInt(i) {
			return fmt.Errorf("must be a smaller whole number")
		}
		v.SetInt(i)
	default:
		u, err := parseUint(text)
		if err != nil {
			return err
		}
		if v.OverflowUint(u) {
			return fmt.Errorf("must be a smaller whole number")
		}
		v.SetUint(u)
	}
	return nil
}

var (
	errWhole = fmt.Errorf("must be a whole number")
	errRange = fmt.Errorf("must be a smaller whole number")
)

// parseInt takes 1000, 1_000, 0x3e8 and 1e3.
func parseInt(text string) (int64, error) {
	i, err := strconv.ParseInt(text, 0, 64)
	if err == nil {
		return i, nil
	}
	f, ferr := strconv.ParseFloat(text, 64)
	switch {
	case ferr != nil && !math.IsInf(f, 0) || f != math.Trunc(f) || math.IsNaN(f):
		return 0, errWhole
	case math.Abs(f) > 1<<53:
		return 0, errRange
	}
	return int64(f), nil
}

func parseUint(text string) (uint64, error) {
	if u, err := strconv.ParseUint(text, 0, 64); err == nil {
		return u, nil
	}
	i, err := parseInt(text)
	if err != nil {
		return 0, err
	}
	if i < 0 {
		return 0, fmt.Errorf("must not be negative")
	}
	return uint64(i), nil
}

// checkScalar holds a parsed value to its enum, min and max tags.
func checkScalar(f *field, v reflect.Value) error {
	text := scalarText(v)
	if len(f.enum) > 0 {
		if text == "" && !f.required {
			return nil // written out as the blank that it is by default
		}
		for _, e := range f.enum {
			if e == text {
				return nil
			}
		}
		return fmt.Errorf("must be one of %s", strings.Join(f.enum, ", "))
	}
	if f.min != "" && compare(v, f.min) < 0 {
		return fmt.Errorf("must be at least %s", f.min)
	}
	if f.max != "" && compare(v, f.max) > 0 {
		return fmt.Errorf("must be at most %s", f.max)
	}
	return nil
}

// compare compares v with a bound written in a tag. A bound that cannot be
// read is a mistake in the program, and the test of the catalogue meets it.
func compare(v reflect.Value, bound string) int {
	b := reflect.New(v.Type()).Elem()
	if err := setScalar(b, &Node{Shape: Scalar, Text: bound, Loose: true}); err != nil {
		panic(fmt.Sprintf("the bound %q of a %s: %v", bound, v.Type(), err))
	}
	switch v.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return cmp(v.Int(), b.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return cmp(v.Uint(), b.Uint())
	case reflect.Float32, reflect.Float64:
		return cmp(v.Float(), b.Float())
	}
	panic(fmt.Sprintf("a %s has no order for min and max", v.Type()))
}

func cmp[T int64 | uint64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// scalarText writes a scalar as it would be read.
func scalarText(v reflect.Value) string {
	if v.CanAddr() {
		if m, ok := v.Addr().Interface().(encoding.TextMarshaler); ok {
			if b, err := m.MarshalText(); err == nil {
				return string(b)
			}
		}
	}
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Float32, reflect.Float64:
		f := v.Float()
		if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e15) {
			return strconv.FormatFloat(f, 'g', -1, v.Type().Bits())
		}
		return strconv.FormatFloat(f, 'f', -1, v.Type().Bits())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10)
	}
	return fmt.Sprint(v.Interface())
}

const stars = "***"

var secretPair = regexp.MustCompile(`(?i)((?:password|passwd|pwd|secret|token|accountkey|sharedaccesskey|sharedaccesssignature|sig)\s*=\s*)('[^']*'|"[^"]*"|[^;&\s]+)`)

// Mask replaces what looks like a password in an address (the user part of a
// URL, `password=` in a query or a connection string) with ***. Options that
// are secret as a whole carry the secret tag instead.
func Mask(s string) string {
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		end := strings.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		// A password may itself hold a slash that its owner forgot to escape;
		// when the URL cannot be parsed, look for the last @ of all.
		if _, err := url.Parse(s); err != nil {
			end = len(rest)
		}
		if at := strings.LastIndexByte(rest[:end], '@'); at >= 0 {
			if user, _, has := strings.Cut(rest[:at], ":"); has {
				s = scheme + "://" + user + ":" + stars + rest[at:]
			}
		}
	}
	return secretPair.ReplaceAllString(s, "${1}"+stars)
}
