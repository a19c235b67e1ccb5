package geo

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/peterstace/simplefeatures/geom"

	"millrace/process/streamanalytics/value"
)

// compile makes a function of the table for one call.
func compile(t testing.TB, name string, c Call) Func {
	t.Helper()
	for _, f := range Functions() {
		if f.Name != name {
			continue
		}
		call, err := f.Compile(c)
		if err != nil {
			t.Fatal(err)
		}
		return call
	}
	t.Fatalf("there is no %s", name)
	return nil
}

// arg makes an argument: JSON for a record, else a text.
func arg(text string) value.Value {
	if strings.HasPrefix(text, "{") {
		return value.Raw([]byte(text))
	}
	if text == "NULL" {
		return value.Value{}
	}
	return value.Text(text)
}

const (
	square0  = `{"type":"Polygon", "coordinates": [ [0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0], [0.0, 0.0] ]}`
	square30 = `{"type":"Polygon", "coordinates": [ [30.0, 30.0], [40.0, 30.0], [40.0, 40.0], [30.0, 40.0], [30.0, 30.0] ]}`
	square20 = `{"type":"Polygon", "coordinates": [ [0.0, 0.0], [20.0, 0.0], [20.0, 20.0], [0.0, 20.0], [0.0, 0.0] ]}`
	spiked   = `{"type":"Polygon", "coordinates": [ [10.0, 10.0], [40.0, 10.0], [40.0, 40.0], [40.0, 20.0], [40.0, 40.0] ]}`
	ring0    = `{"type":"Polygon", "coordinates": [[ [0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0], [0.0, 0.0] ]]}`
	ring10   = `{"type":"Polygon", "coordinates": [[ [10.0, 10.0], [20.0, 10.0], [20.0, 20.0], [10.0, 20.0], [10.0, 10.0] ]]}`
	flat     = `{"type":"LineString", "coordinates": [ [-10.0, 0.0], [0.0, 0.0], [10.0, 0.0] ]}`
	upright  = `{"type":"LineString", "coordinates": [ [0.0, 10.0], [0.0, 0.0], [0.0, -10.0] ]}`
	above    = `{"type":"LineString", "coordinates": [ [-10.0, 10.0], [0.0, 10.0], [10.0, 10.0] ]}`
	holed    = `POLYGON((0 0, 10 0, 10 10, 0 10, 0 0), (4 4, 4 6, 6 6, 6 4, 4 4))`
	building = `POLYGON((-122.1336154507967 47.6366745947009,-122.13361008637867 47.636483015064535,-122.13349206918201 47.636479400347675,-122.13349743360004 47.63636372927573,-122.13372810357532 47.63636372927573,-122.13373346799335 47.63617576323771,-122.13263912671528 47.63616491902258,-122.13264985555134 47.63635649982525,-122.13304682248554 47.636367344000604,-122.13305218690357 47.63650831807564,-122.13276250832996 47.636497473929516,-122.13277323716602 47.63668543881025,-122.1336154507967 47.6366745947009))`
)

// The examples of the documentation, and what must hold besides.
func TestRelations(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, a, b string
		// geography and plane are the results below level 1.2 and at it.
		geography, plane string
	}{
		{"ST_OVERLAPS", square0, square30, "0", "0"},
		{"ST_OVERLAPS", square20, spiked, "1", "1"},
		{"ST_OVERLAPS", "POLYGON((1 1, 10 1, 10 10, 1 10))", square20, "0", "0"},
		{"ST_OVERLAPS", square20, "POLYGON((1 1, 10 1, 10 10, 1 10))", "0", "0"},
		{"ST_OVERLAPS", square0, square0, "0", "0"},
		{"ST_OVERLAPS", square0, ring10, "0", "0"},
		{"ST_OVERLAPS", square20, ring10, "0", "0"},
		{"ST_OVERLAPS", "POINT(1 1)", square0, "0", "0"},
		{"ST_OVERLAPS", "MULTIPOLYGON(((1 1,2 1,2 2,1 2)),((9 9,19 9,19 19,9 19)))", ring0, "1", "1"},

		{"ST_WITHIN", `{"type":"Point", "coordinates": [76.6, 10.1]}`, ring0, "0", "0"},
		{"ST_WITHIN", `{"type":"Point", "coordinates": [15.0, 15.0]}`, ring10, "1", "1"},
		{"ST_WITHIN", "POINT(-122.13292341559497 47.636318374032726)", building, "1", "1"},
		{"ST_WITHIN", "POINT(-122.13338475554553 47.63743531308874)", building, "0", "0"},
		{"ST_WITHIN", "point ( 5   5 )", holed, "0", "0"},
		{"ST_WITHIN", "POINT(5 3)", holed, "1", "1"},
		{"ST_WITHIN", "POINT(5 0)", ring0, "0", "0"},
		{"ST_WITHIN", "POINT(10 10)", "POLYGON EMPTY", "0", "0"},
		{"ST_WITHIN", "POINT EMPTY", ring0, "0", "0"},
		{"ST_WITHIN", `{"type":"Polygon","coordinates":[[[1,1],[2,1],[2,2],[1,2],[1,1]]]}`, ring0, "1", "1"},
		{"ST_WITHIN", ring0, ring0, "1", "1"},
		{"ST_WITHIN", ring0, holed, "0", "0"},
		{"ST_WITHIN", "POLYGON((4 4, 6 4, 6 6, 4 6))", holed, "0", "0"},
		{"ST_WITHIN", square20, ring0, "0", "0"},
		{"ST_WITHIN", "LINESTRING(1 1, 9 9)", ring0, "1", "1"},
		{"ST_WITHIN", "LINESTRING(1 1, 9 9)", holed, "0", "0"},
		{"ST_WITHIN", "LINESTRING(1 5, 9 5)", holed, "0", "0"},
		{"ST_WITHIN", "LINESTRING(1 1, 19 9)", ring0, "0", "0"},
		{"ST_WITHIN", "MULTIPOINT((1 1),(2 2))", ring0, "1", "1"},
		{"ST_WITHIN", "MULTIPOINT((1 1),(22 2))", ring0, "0", "0"},
		{"ST_WITHIN", "POINT(1 1)", "POINT(1 1)", "0", "1"},
		// A ring the other way round is the globe without the square.
		{"ST_WITHIN", "POINT(5 5)", "POLYGON((0 0, 0 10, 10 10, 10 0, 0 0))", "0", "1"},
		{"ST_WITHIN", "POINT(50 50)", "POLYGON((0 0, 0 10, 10 10, 10 0, 0 0))", "1", "0"},
		// The great circle between two points of the same latitude bulges
		// towards the pole.
		{"ST_WITHIN", "POINT(0 46)", "POLYGON((-40 0, 40 0, 40 45, -40 45, -40 0))", "1", "0"},
		// The globe is round, the map is not.
		{"ST_WITHIN", "POINT(-180 0)", "POLYGON((170 -10, -170 -10, -170 10, 170 10, 170 -10))", "1", "0"},
		{"ST_WITHIN", "POINT(365 5)", ring0, "1", "0"},

		{"ST_INTERSECTS", flat, upright, "1", "1"},
		{"ST_INTERSECTS", flat, above, "0", "0"},
		{"ST_INTERSECTS", "LINESTRING(-5 -5, 5 5)", "LINESTRING(-5 5, 5 -5)", "1", "1"},
		{"ST_INTERSECTS", "LINESTRING(-5 5, 15 5)", ring0, "1", "1"},
		{"ST_INTERSECTS", ring0, "LINESTRING(1 1, 2 2)", "1", "1"},
		{"ST_INTERSECTS", "LINESTRING(-5 15, 15 15)", ring0, "0", "0"},
		{"ST_INTERSECTS", "POINT(5 0)", flat, "1", "1"},
		{"ST_INTERSECTS", "POINT(5 0.001)", flat, "0", "0"},
		{"ST_INTERSECTS", "POINT(5 5)", "POINT(5 5)", "1", "1"},
		{"ST_INTERSECTS", "POINT(5 5)", ring0, "1", "1"},
		{"ST_INTERSECTS", "POINT(15 5)", ring0, "0", "0"},
		{"ST_INTERSECTS", ring0, square20, "1", "1"},
		{"ST_INTERSECTS", ring0, square30, "0", "0"},
		{"ST_INTERSECTS", `{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[50,50]},{"type":"LineString","coordinates":[[-1,-1],[1,1]]}]}`, ring0, "1", "1"},
		{"ST_INTERSECTS", `{"type":"MultiLineString","coordinates":[[[50,50],[51,51]],[[-1,5],[11,5]]]}`, `{"type":"MultiPolygon","coordinates":[[[[0,0],[1,0],[1,1]]],[[[2,2],[9,2],[9,9],[2,9]]]]}`, "1", "1"},
		{"ST_INTERSECTS", "NULL", ring0, "NULL", "NULL"},
		{"ST_INTERSECTS", "no geography", "NULL", "NULL", "NULL"},
		{"ST_DISTANCE", ring0, "POINT(50 50)", "0.0", "0.0"},
		{"ST_DISTANCE", "POINT EMPTY", "POINT(50 50)", "NULL", "NULL"},
	} {
		for level, want := range map[value.Level]string{value.Level11: tt.geography, value.Level12: tt.plane} {
			f := compile(t, tt.name, Call{Level: level})
			// Twice: the second time the shapes come from the cache.
			for range 2 {
				got, err := f([]value.Value{arg(tt.a), arg(tt.b)})
				if err != nil || got.String() != want {
					t.Errorf("level %v: %s(%.60s, %.60s) = %v, %v; want %s", level, tt.name, tt.a, tt.b, got, err, want)
				}
			}
			// GeoJSON as text is taken as well, and constants give the same.
			consts := []value.Value{value.Text(tt.a), value.Text(tt.b)}
			if tt.a != "NULL" && tt.b != "NULL" {
				f := compile(t, tt.name, Call{Level: level, Consts: consts, Known: []bool{true, true}})
				if got, err := f(consts); err != nil || got.String() != want {
					t.Errorf("level %v: %s(%.60s, %.60s) of constants = %v, %v; want %s", level, tt.name, tt.a, tt.b, got, err, want)
				}
			}
		}
	}
}

func TestConstructors(t *testing.T) {
	t.Parallel()
	point := func(lat, lon float64) value.Value {
		v, err := compile(t, "CreatePoint", Call{})([]value.Value{value.Double(lat), value.Double(lon)})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	a, b, c := point(3, -10.2), point(10, 10), point(10.5, 10.5)
	for _, tt := range []struct {
		name string
		args []value.Value
		want string
	}{
		{"CreatePoint", []value.Value{value.Double(3), value.Double(-10.2)}, `{"type":"Point","coordinates":[-10.2,3]}`},
		{"CreatePoint", []value.Value{value.Int(3), value.Int(4)}, `{"type":"Point","coordinates":[4,3]}`},
		{"CreatePoint", []value.Value{{}, value.Int(4)}, "NULL"},
		{"CreateLineString", []value.Value{a, b, c}, `{"type":"LineString","coordinates":[[-10.2,3],[10,10],[10.5,10.5]]}`},
		{"CreateLineString", []value.Value{a, {}, c}, "NULL"},
		{"CreateLineString", []value.Value{arg("POINT(1 2)"), arg(`{"type":"Point","coordinates":[3,4,100]}`)}, `{"type":"LineString","coordinates":[[1,2],[3,4]]}`},
		{"CreatePolygon", []value.Value{a, b, c, a}, `{"type":"Polygon","coordinates":[[[-10.2,3],[10,10],[10.5,10.5],[-10.2,3]]]}`},
		{"CreatePolygon", []value.Value{a, b, c, {}}, "NULL"},
	} {
		got, err := compile(t, tt.name, Call{})(tt.args)
		// Floats print as the value package has it.
		want := tt.want
		if w, perr := value.Parse([]byte(want)); perr == nil {
			if equal := err == nil && sameNumbers(got, w); !equal {
				t.Errorf("%s = %v, %v; want %s", tt.name, got, err, want)
			}
		} else if err != nil || got.String() != want {
			t.Errorf("%s = %v, %v; want %s", tt.name, got, err, want)
		}
	}
}

// sameNumbers compares two trees, floats with integers too.
func sameNumbers(a, b value.Value) bool {
	if a.Kind() != b.Kind() && !(a.Kind() == value.Float && b.Kind() == value.BigInt) || a.Len() != b.Len() {
		return false
	}
	switch a.Kind() {
	case value.Record:
		same := true
		a.Members(func(name string, m value.Value) bool { same = same && sameNumbers(m, b.Get(name)); return same })
		return same
	case value.Array:
		for i := range a.Len() {
			if !sameNumbers(a.At(i), b.At(i)) {
				return false
			}
		}
		return true
	}
	return value.Equal(a, b)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	number := value.Int(5)
	p, q, r := arg("POINT(1 2)"), arg("POINT(3 4)"), arg("POINT(5 7)")
	for _, tt := range []struct {
		name string
		args []value.Value
		want string
	}{
		{"CreatePoint", []value.Value{value.Text("1"), number}, "CreatePoint takes numbers, latitude and longitude in degrees, not a nvarchar(max)"},
		{"CreatePoint", []value.Value{value.Double(90.5), number}, "CreatePoint: longitude 5, latitude 90.5 is no position: a latitude is from -90 to 90 degrees"},
		{"CreatePoint", []value.Value{number, value.Double(math.NaN())}, "no position"},
		{"CreateLineString", []value.Value{p, number}, "CreateLineString, argument 2: a bigint is no geography; a GeoJSON record or well-known text is"},
		{"CreateLineString", []value.Value{p, arg(ring0)}, "CreateLineString takes points; argument 2 is none"},
		{"CreatePolygon", []value.Value{p, q, r, q}, "CreatePolygon: the last point must be the first one again, to close the ring"},
		{"CreatePolygon", []value.Value{p, q, q, p}, "CreatePolygon: a polygon's ring needs at least three different points"},
		{"ST_DISTANCE", []value.Value{p, value.Bool(true)}, "ST_DISTANCE, argument 2: a bit is no geography"},
		{"ST_WITHIN", []value.Value{p, arg("somewhere")}, `ST_WITHIN, argument 2: "somewhere" is neither GeoJSON nor well-known text`},
		{"ST_WITHIN", []value.Value{p, arg("POLYGON((0 0, 1 1))")}, "a polygon's ring needs at least three different points"},
		{"ST_WITHIN", []value.Value{p, arg("POLYGON((0 0, 1 1, 0 91))")}, "a latitude is from -90 to 90 degrees"},
		{"ST_WITHIN", []value.Value{p, arg("CIRCULARSTRING(0 0, 1 1, 0 2)")}, "neither GeoJSON nor well-known text"},
		{"ST_WITHIN", []value.Value{arg(`{"type":"Point","coordinates":[1]}`), q}, "a position needs longitude and latitude"},
		{"ST_WITHIN", []value.Value{arg(`{"type":"Point","coordinates":["1","2"]}`), q}, "a nvarchar(max) is no coordinate"},
		{"ST_WITHIN", []value.Value{arg(`{"type":"Circle","coordinates":[1,2]}`), q}, `"Circle" is no type of a GeoJSON geometry; Point, LineString and Polygon are`},
		{"ST_WITHIN", []value.Value{arg(`{"x":1}`), q}, "the record is no GeoJSON geometry: it has no type"},
		{"ST_WITHIN", []value.Value{arg(`{"type":"LineString","coordinates":5}`), q}, "must be an array, not bigint"},
		{"ST_WITHIN", []value.Value{arg(`{"type":"LineString","coordinates":[[1,2]]}`), q}, "a line needs at least two points"},
		{"ST_WITHIN", []value.Value{value.Text(`{"type":`), q}, "is no GeoJSON: not valid JSON"},
		{"ST_WITHIN", []value.Value{arg("GEOMETRYCOLLECTION" + strings.Repeat("(", 100_000)), q}, "nests deeper than"},
		{"ST_WITHIN", []value.Value{arg(strings.Repeat(`{"type":"GeometryCollection","geometries":[`, 20) + strings.Repeat("]}", 20)), q}, "collections nest deeper than"},
	} {
		for _, level := range []value.Level{value.Level10, value.Level12} {
			f := compile(t, tt.name, Call{Level: level})
			if got, err := f(tt.args); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s = %v, %v; want %s", tt.name, got, err, tt.want)
			}
		}
	}
	for _, f := range Functions() {
		if f.Name != "ST_WITHIN" {
			continue
		}
		_, err := f.Compile(Call{Consts: []value.Value{{}, value.Text("POLYGON((0 0 1")}, Known: []bool{false, true}})
		if err == nil || !strings.Contains(err.Error(), "ST_WITHIN, argument 2") {
			t.Errorf("a wrong constant: %v", err)
		}
	}
}

func TestDistances(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want float64
	}{
		// The documentation's, which comes from a formula of 1 mm less.
		{"POINT(-5 -5)", "POINT(0 0)", 784028.74},
		{"POINT(0 0)", "POINT(0 0)", 0},
		{"POINT(0 0)", "POINT(90 0)", 10018754.171},
		{"POINT(0 -90)", "POINT(0 90)", 20003931.459},
		{"POINT(10 90)", "POINT(-170 90)", 0},
		// Flinders Peak to Buninyong.
		{"POINT(144.42486788888888 -37.95103341666667)", "POINT(143.92649552777777 -37.65282113888889)", 54972.271},
		// Nearly antipodal, where the usual iteration fails.
		{"POINT(0 0)", "POINT(179.5 0.5)", 19936288.579},
		{"POINT(0 0)", "POINT(179.7 0.5)", 19944127.421},
		{"POINT(0 0)", "POINT(180 0)", 20003931.459},
		{"POINT(0 30)", "POINT(180 -30)", 20003931.459},
		// Over the date line.
		{"POINT(179 0)", "POINT(-179 0)", 222638.982},
		// To the nearest point of a line.
		{"POINT(0 1)", "LINESTRING(-10 0, 10 0)", 110574.389},
		{"LINESTRING(0 1, 0 5)", "LINESTRING(-10 0, 10 0)", 110574.389},
		{"LINESTRING(-5 -5, 5 5)", "LINESTRING(-5 5, 5 -5)", 0},
		{"MULTIPOINT((50 50),(0 1))", "POINT(0 0)", 110574.389},
	} {
		for _, level := range []value.Level{value.Level10, value.Level12} {
			f := compile(t, "ST_DISTANCE", Call{Level: level})
			for _, args := range [][]value.Value{{arg(tt.a), arg(tt.b)}, {arg(tt.b), arg(tt.a)}} {
				got, err := f(args)
				if err != nil || got.Kind() != value.Float || math.Abs(got.Double()-tt.want) > 0.002 {
					t.Errorf("%s to %s: %v, %v; want %v", tt.a, tt.b, got, err, tt.want)
				}
			}
		}
	}
}

// The distance is a metric, near the antipode too.
func TestDistanceIsAMetric(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	point := func() xy { return xy{random.Float64()*360 - 180, random.Float64()*180 - 90} }
	near := func(p xy) xy {
		return xy{p.x + random.Float64() - 0.5, max(-90, min(90, p.y+random.Float64()-0.5))}
	}
	for range 150 {
		p, q := point(), point()
		r := near(xy{p.x + 180, -p.y})
		pq, qr, pr := geodesic(p, q), geodesic(q, r), geodesic(p, r)
		if pr > pq+qr+0.01 || pq < 0 || pr > 20004000 {
			t.Errorf("%v %v %v: %v > %v + %v", p, q, r, pr, pq, qr)
		}
		if back := geodesic(r, p); math.Abs(back-pr) > 0.01 {
			t.Errorf("%v %v: %v there, %v back", p, r, pr, back)
		}
	}
}

// star makes a polygon around a centre that does not cross itself.
func star(random *rand.Rand, centre xy, corners int, size float64) []xy {
	ring := make([]xy, corners)
	for i := range ring {
		r := size * (0.3 + 0.7*random.Float64())
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(corners))
		ring[i] = xy{centre.x + r*cos, centre.y + r*sin}
	}
	return ring
}

func wkt(ring []xy) string {
	var b strings.Builder
	b.WriteString("POLYGON((")
	for _, p := range append(ring[:len(ring):len(ring)], ring[0]) {
		if b.Len() > 9 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%v %v", p.x, p.y)
	}
	b.WriteString("))")
	return b.String()
}

// The index finds what the library finds without one, on edges and corners
// too.
func TestPointsInPolygons(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	for round := range 40 {
		corners := 3 + random.IntN(200)
		ring := star(random, xy{random.Float64()*10 - 5, random.Float64()*10 - 5}, corners, 3)
		if round%4 == 0 {
			// On a lattice, where heights and edges coincide.
			for i, p := range ring {
				ring[i] = xy{math.Round(p.x * 4), math.Round(p.y * 4)}
			}
		}
		clean, err := cleanRing(ring)
		if err != nil {
			continue
		}
		polygon, err := geom.UnmarshalWKT(wkt(clean))
		if err != nil {
			continue
		}
		area := newArea([][]xy{clean})
		for k := range 60 {
			p := xy{area.box.low.x + random.Float64()*(area.box.high.x-area.box.low.x), area.box.low.y + random.Float64()*(area.box.high.y-area.box.low.y)}
			switch k % 4 {
			case 0:
				p = clean[random.IntN(len(clean))]
			case 1:
				p = xy{math.Round(p.x), math.Round(p.y)}
			case 2:
				p.y = clean[random.IntN(len(clean))].y
			}
			g := planePoint(p).AsGeometry()
			want := outside
			if geom.Intersects(g, polygon) {
				want = inside
				if in, err := geom.Within(g, polygon); err != nil {
					t.Fatal(err)
				} else if !in {
					want = onEdge
				}
			}
			if got := area.locate(p); got != want {
				t.Fatalf("%v is at %v of %s, want %v", p, got, wkt(clean), want)
			}
		}
	}
}

// A comb has edges that are all as high as the whole. Its index must not grow
// with the square of their number.
func TestIndexOfACombIsBounded(t *testing.T) {
	t.Parallel()
	ring := []xy{{0, 0}}
	const teeth = 20_000
	for i := range teeth {
		x := float64(i) / teeth
		ring = append(ring, xy{x, 80}, xy{x + 0.5/teeth, 1})
	}
	ring = append(ring, xy{1, 80}, xy{1, 0})
	a := newArea([][]xy{ring})
	if n := len(a.order); n > 16*len(ring) {
		t.Errorf("%d edges take %d places", len(ring), n)
	}
	for _, p := range []struct {
		at   xy
		want place
	}{{xy{0.5, 0.5}, inside}, {xy{0.5, 79}, inside}, {xy{0.5 + 0.5/teeth, 70}, outside}, {xy{0.5, 81}, outside}, {xy{0.3, 0}, onEdge}} {
		if got := a.locate(p.at); got != p.want {
			t.Errorf("%v is at place %d, want %d", p.at, got, p.want)
		}
	}
}

// On a small piece of the globe geography and plane agree away from edges, and
// the relations agree with each other.
func TestLevelsAgreeInTheSmall(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 8))
	relation := func(name string, level value.Level, a, b string) int64 {
		v, err := compile(t, name, Call{Level: level})([]value.Value{arg(a), arg(b)})
		if err != nil {
			t.Fatal(err)
		}
		return v.Int()
	}
	for range 40 {
		a := wkt(star(random, xy{5, 45}, 3+random.IntN(20), 0.01))
		b := wkt(star(random, xy{5 + random.Float64()*0.03, 45 + random.Float64()*0.03}, 3+random.IntN(20), 0.01))
		var got [2][4]int64
		for i, level := range []value.Level{value.Level11, value.Level12} {
			got[i] = [4]int64{relation("ST_INTERSECTS", level, a, b), relation("ST_OVERLAPS", level, a, b), relation("ST_WITHIN", level, a, b), relation("ST_WITHIN", level, b, a)}
			if g := got[i]; g[0] != max(g[1], g[2], g[3]) {
				t.Errorf("intersects, overlaps and within contradict: %v\n%s\n%s", g, a, b)
			}
			if relation("ST_WITHIN", level, a, a) != 1 || relation("ST_INTERSECTS", level, b, a) != got[i][0] {
				t.Errorf("not reflexive or not symmetric: %s %s", a, b)
			}
		}
		if got[0] != got[1] {
			t.Errorf("geography %v, plane %v\n%s\n%s", got[0], got[1], a, b)
		}
	}
}

// A call's cache stays within its bounds, and gives the right shape whatever
// has been in it.
func TestCache(t *testing.T) {
	t.Parallel()
	f := compile(t, "ST_WITHIN", Call{})
	text := func(i int) value.Value {
		return arg(fmt.Sprintf("POLYGON((%d 0, %d 0, %d 1, %d 1))", i%100, i%100+1, i%100+1, i%100) + strings.Repeat(" ", i/100))
	}
	for i := range 1500 {
		for _, k := range []int{i, i / 2, 7} {
			got, err := f([]value.Value{arg(fmt.Sprintf("POINT(%v 0.5)", float64(k%100)+0.5)), text(k)})
			if err != nil || got.Int() != 1 {
				t.Fatalf("%d: %v, %v", k, got, err)
			}
		}
	}
	c := newTestCache()
	big := strings.Repeat(" ", 1<<20)
	for i := range 64 {
		if _, err := c.shape(arg("LINESTRING(0 0, 1 "+fmt.Sprint(i)+")"+big), value.Level12); err != nil {
			t.Fatal(err)
		}
	}
	if held := c.held.Load(); held > cacheBytes || held < cacheBytes/2 {
		t.Errorf("the cache holds %d bytes of text", held)
	}
}

func newTestCache() *cache {
	a, err := newArguments("f", Call{})
	if err != nil {
		panic(err)
	}
	return &a.cache
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{square0, spiked, ring10, flat, holed, building, "POINT(1 2)", "POINT Z (1 2 3)", "MULTIPOINT(1 1, 2 2)", "GEOMETRYCOLLECTION(POINT(1 1))",
		"LINESTRING EMPTY", `{"type":"MultiPolygon","coordinates":[[[[0,0],[1,0],[1,1]]]]}`, "POLYGON((0 0, 1 1, 1 0, 0 1))", "POLYGON((0 90, 90 90, 180 90, 0 80))"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, level := range []value.Level{value.Level11, value.Level12} {
			for _, name := range []string{"ST_INTERSECTS", "ST_OVERLAPS", "ST_WITHIN", "ST_DISTANCE"} {
				_, _ = compile(t, name, Call{Level: level})([]value.Value{value.Text(a), value.Text(b)})
			}
		}
	})
}
