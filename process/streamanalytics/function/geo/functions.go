package geo

import (
	"fmt"
	"hash/maphash"

	"millrace/process/streamanalytics/value"
)

// Func computes one call from its arguments. It is safe for concurrent use and
// keeps nothing of the arguments. An error is a sentence that names the
// function and what it can not take.
type Func func(args []value.Value) (value.Value, error)

// Call is what is known of one call before the first row.
type Call struct {
	// Level decides between geography and plane geometry.
	Level value.Level
	// Consts are the arguments whose Known is true. Both may be shorter than
	// the arguments.
	Consts []value.Value
	Known  []bool
}

// Function describes one function.
type Function struct {
	// Name is as the documentation spells it.
	Name string
	// MinArgs and MaxArgs bound the number of arguments; MaxArgs is -1 for no
	// bound.
	MinArgs, MaxArgs int
	// Params are the kinds of the arguments, value.Null for a geography,
	// which may be a record or a text; the last one holds for all that follow.
	Params []value.Kind
	// Result is the kind of the result, when it is not NULL.
	Result value.Kind
	// Compile makes the function for one call. The error is about a constant
	// that is no geography.
	Compile func(Call) (Func, error)
}

// Functions returns all functions of the package.
func Functions() []Function {
	geography := []value.Kind{value.Null}
	always := func(f Func) func(Call) (Func, error) {
		return func(Call) (Func, error) { return f, nil }
	}
	relation := func(name string, test func(a, b *shape) (bool, error)) Function {
		return Function{Name: name, MinArgs: 2, MaxArgs: 2, Params: geography, Result: value.BigInt,
			Compile: func(c Call) (Func, error) { return compileRelation(name, c, test) }}
	}
	return []Function{
		{Name: "CreatePoint", MinArgs: 2, MaxArgs: 2, Params: []value.Kind{value.Float}, Result: value.Record, Compile: always(createPoint)},
		{Name: "CreateLineString", MinArgs: 2, MaxArgs: -1, Params: geography, Result: value.Record, Compile: always(createLineString)},
		{Name: "CreatePolygon", MinArgs: 4, MaxArgs: -1, Params: geography, Result: value.Record, Compile: always(createPolygon)},
		{Name: "ST_DISTANCE", MinArgs: 2, MaxArgs: 2, Params: geography, Result: value.Float, Compile: compileDistance},
		relation("ST_INTERSECTS", intersects),
		relation("ST_OVERLAPS", overlaps),
		relation("ST_WITHIN", within),
	}
}

// createPoint is CreatePoint(latitude, longitude).
func createPoint(args []value.Value) (value.Value, error) {
	var numbers [2]float64
	for i, a := range args[:2] {
		switch a.Kind() {
		case value.Null:
			return value.Value{}, nil
		case value.BigInt, value.Float:
			numbers[i] = a.Double()
		default:
			return value.Value{}, fmt.Errorf("CreatePoint takes numbers, latitude and longitude in degrees, not a %v", a.Kind())
		}
	}
	p := xy{numbers[1], numbers[0]}
	if err := p.check(); err != nil {
		return value.Value{}, fmt.Errorf("CreatePoint: %w", err)
	}
	return geoJSON("Point", p.value()), nil
}

// geoJSON makes a GeoJSON record.
func geoJSON(kind string, coordinates value.Value) value.Value {
	return value.NewRecord([]value.Member{{Name: "type", Value: value.Text(kind)}, {Name: "coordinates", Value: coordinates}})
}

func (p xy) value() value.Value {
	return value.NewArray([]value.Value{value.Double(p.x), value.Double(p.y)})
}

// pointsOf reads arguments that are points. ok is false if one is NULL.
func pointsOf(name string, args []value.Value) (points []xy, ok bool, err error) {
	points = make([]xy, len(args))
	for i, a := range args {
		if a.IsNull() {
			return nil, false, nil
		}
		p, ok := readPoint(a)
		if !ok {
			s, err := read(a)
			if err != nil {
				return nil, false, fmt.Errorf("%s, argument %d: %w", name, i+1, err)
			}
			if p, ok = s.single(); !ok {
				return nil, false, fmt.Errorf("%s takes points; argument %d is none", name, i+1)
			}
		}
		if err := p.check(); err != nil {
			return nil, false, fmt.Errorf("%s, argument %d: %w", name, i+1, err)
		}
		points[i] = p
	}
	return points, true, nil
}

func coordinates(points []xy) value.Value {
	out := make([]value.Value, len(points))
	for i, p := range points {
		out[i] = p.value()
	}
	return value.NewArray(out)
}

func createLineString(args []value.Value) (value.Value, error) {
	points, ok, err := pointsOf("CreateLineString", args)
	if err != nil || !ok {
		return value.Value{}, err
	}
	return geoJSON("LineString", coordinates(points)), nil
}

func createPolygon(args []value.Value) (value.Value, error) {
	points, ok, err := pointsOf("CreatePolygon", args)
	if err != nil || !ok {
		return value.Value{}, err
	}
	if points[0] != points[len(points)-1] {
		return value.Value{}, fmt.Errorf("CreatePolygon: the last point must be the first one again, to close the ring")
	}
	if _, err := cleanRing(points); err != nil {
		return value.Value{}, fmt.Errorf("CreatePolygon: %w", err)
	}
	return geoJSON("Polygon", value.NewArray([]value.Value{coordinates(points)})), nil
}

// arguments reads the two geographies of a call.
type arguments struct {
	name   string
	level  value.Level
	consts [2]*shape
	cache  cache
}

func newArguments(name string, c Call) (*arguments, error) {
	a := &arguments{name: name, level: c.Level, cache: cache{seed: maphash.MakeSeed()}}
	for i := range a.consts {
		if i >= len(c.Consts) || i >= len(c.Known) || !c.Known[i] || c.Consts[i].IsNull() {
			continue
		}
		s, err := a.read(i, c.Consts[i])
		if err != nil {
			return nil, err
		}
		a.consts[i] = s
	}
	return a, nil
}

func (a *arguments) read(i int, v value.Value) (*shape, error) {
	s, err := a.cache.shape(v, a.level)
	if err != nil {
		return nil, fmt.Errorf("%s, argument %d: %w", a.name, i+1, err)
	}
	return s, nil
}

// pair returns both geographies, or ok false if one is NULL.
func (a *arguments) pair(args []value.Value) (s [2]*shape, ok bool, err error) {
	for i := range s {
		if args[i].IsNull() {
			return s, false, nil
		}
	}
	for i := range s {
		if s[i] = a.consts[i]; s[i] != nil {
			continue
		}
		if s[i], err = a.read(i, args[i]); err != nil {
			return s, false, err
		}
	}
	return s, true, nil
}

// compileRelation makes a function that gives 1 or 0.
func compileRelation(name string, c Call, test func(a, b *shape) (bool, error)) (Func, error) {
	a, err := newArguments(name, c)
	if err != nil {
		return nil, err
	}
	return func(args []value.Value) (value.Value, error) {
		s, ok, err := a.pair(args)
		if err != nil || !ok {
			return value.Value{}, err
		}
		holds, err := test(s[0], s[1])
		if err != nil {
			return value.Value{}, fmt.Errorf("%s: %w", name, err)
		}
		if holds {
			return value.Int(1), nil
		}
		return value.Int(0), nil
	}, nil
}

func compileDistance(c Call) (Func, error) {
	a, err := newArguments("ST_DISTANCE", c)
	if err != nil {
		return nil, err
	}
	return func(args []value.Value) (value.Value, error) {
		s, ok, err := a.pair(args)
		if err != nil || !ok {
			return value.Value{}, err
		}
		metres, ok := distance(s[0], s[1])
		if !ok {
			return value.Value{}, nil
		}
		return value.Double(metres), nil
	}, nil
}
