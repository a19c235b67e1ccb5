package geo

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/peterstace/simplefeatures/geom"

	"millrace/process/streamanalytics/value"
)

// maxCollection is how deep collections may nest in collections.
const maxCollection = 8

// maxText bounds a text that is read, in bytes; maxBrackets how deep its
// brackets may nest: the library that reads it recurses.
const (
	maxText     = 16 << 20
	maxBrackets = 32
)

// readPoint reads the common case quickly: a GeoJSON point or POINT(x y). ok
// is false for everything else, also for what is wrong.
func readPoint(v value.Value) (p xy, ok bool) {
	switch v.Kind() {
	case value.Record:
		if v.Get("type").Str() != "Point" {
			return xy{}, false
		}
		n := 0
		for i, c := range v.Get("coordinates").Elements {
			if c.Kind() != value.Float && c.Kind() != value.BigInt {
				return xy{}, false
			}
			switch i {
			case 0:
				p.x = c.Double()
			case 1:
				p.y = c.Double()
			}
			n++
		}
		return p, n >= 2 && n <= 4
	case value.String:
		text := strings.TrimSpace(v.Str())
		if len(text) < 7 || !strings.EqualFold(text[:5], "POINT") {
			return xy{}, false
		}
		text = strings.TrimSpace(text[5:])
		if text == "" || text[0] != '(' || text[len(text)-1] != ')' {
			return xy{}, false
		}
		x, y, found := strings.Cut(strings.TrimSpace(text[1:len(text)-1]), " ")
		if !found {
			return xy{}, false
		}
		var err error
		if p.x, err = strconv.ParseFloat(x, 64); err != nil {
			return xy{}, false
		}
		if p.y, err = strconv.ParseFloat(strings.TrimSpace(y), 64); err != nil {
			return xy{}, false
		}
		return p, true
	}
	return xy{}, false
}

// read reads a geography. The shape is not finished.
func read(v value.Value) (*shape, error) {
	s := &shape{}
	switch v.Kind() {
	case value.Record:
		return s, s.readGeoJSON(v, 0)
	case value.String:
		text := strings.TrimSpace(v.Str())
		if len(text) > maxText {
			return nil, fmt.Errorf("the text has %d bytes, more than %d", len(text), maxText)
		}
		if strings.HasPrefix(text, "{") {
			record, err := value.Parse([]byte(text))
			if err != nil {
				return nil, fmt.Errorf("the text %.40q is no GeoJSON: %w", text, err)
			}
			return s, s.readGeoJSON(record, 0)
		}
		return s, s.readWKT(text)
	}
	return nil, fmt.Errorf("a %v is no geography; a GeoJSON record or well-known text is", v.Kind())
}

// readGeoJSON adds a GeoJSON object.
func (s *shape) readGeoJSON(v value.Value, depth int) error {
	kind := v.Get("type").Str()
	if kind == "GeometryCollection" {
		if depth >= maxCollection {
			return fmt.Errorf("collections nest deeper than %d", maxCollection)
		}
		return each(v.Get("geometries"), "geometries", func(g value.Value) error {
			if g.Kind() != value.Record {
				return fmt.Errorf("a %v is no GeoJSON geometry", g.Kind())
			}
			return s.readGeoJSON(g, depth+1)
		})
	}
	coordinates := v.Get("coordinates")
	switch kind {
	case "Point":
		return s.addPoint(coordinates)
	case "MultiPoint":
		return each(coordinates, "coordinates", s.addPoint)
	case "LineString":
		return s.addLine(coordinates)
	case "MultiLineString":
		return each(coordinates, "coordinates", s.addLine)
	case "Polygon":
		return s.addPolygon(coordinates)
	case "MultiPolygon":
		return each(coordinates, "coordinates", s.addPolygon)
	case "":
		return fmt.Errorf("the record is no GeoJSON geometry: it has no type")
	}
	return fmt.Errorf("%.40q is no type of a GeoJSON geometry; Point, LineString and Polygon are", kind)
}

// each calls f for the elements of an array until it fails.
func each(v value.Value, name string, f func(value.Value) error) error {
	if v.Kind() != value.Array {
		return fmt.Errorf("the %s of a GeoJSON geometry must be an array, not %v", name, v.Kind())
	}
	var err error
	for _, e := range v.Elements {
		if err = f(e); err != nil {
			break
		}
	}
	return err
}

func (s *shape) addPoint(v value.Value) error {
	p, err := position(v)
	if err == nil {
		s.points = append(s.points, p)
	}
	return err
}

func (s *shape) addLine(v value.Value) error {
	line, err := positions(v)
	if err == nil {
		s.lines = append(s.lines, line)
	}
	return err
}

func (s *shape) addPolygon(v value.Value) error {
	var rings [][]xy
	// One ring without the brackets around it: its first element is a
	// position and not a ring.
	if k := v.At(0).At(0).Kind(); k == value.Float || k == value.BigInt {
		ring, err := positions(v)
		if err != nil {
			return err
		}
		rings = append(rings, ring)
	} else if err := each(v, "coordinates", func(r value.Value) error {
		ring, err := positions(r)
		rings = append(rings, ring)
		return err
	}); err != nil {
		return err
	}
	if len(rings) > 0 {
		s.polygons = append(s.polygons, rings)
	}
	return nil
}

func positions(v value.Value) (list []xy, err error) {
	err = each(v, "coordinates", func(e value.Value) error {
		p, err := position(e)
		list = append(list, p)
		return err
	})
	return list, err
}

func position(v value.Value) (p xy, err error) {
	n := 0
	err = each(v, "positions", func(c value.Value) error {
		if c.Kind() != value.Float && c.Kind() != value.BigInt {
			return fmt.Errorf("a %v is no coordinate", c.Kind())
		}
		switch n {
		case 0:
			p.x = c.Double()
		case 1:
			p.y = c.Double()
		}
		n++
		return nil
	})
	if err == nil && n < 2 {
		err = fmt.Errorf("a position needs longitude and latitude")
	}
	return p, err
}

// readWKT adds well-known text.
func (s *shape) readWKT(text string) error {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '(':
			if depth++; depth > maxBrackets {
				return fmt.Errorf("the text %.40q nests deeper than %d", text, maxBrackets)
			}
		case ')':
			depth--
		}
	}
	// Validity is for this package to judge: rings may be open, for one.
	g, err := geom.UnmarshalWKT(text, geom.NoValidate{})
	if err != nil {
		return fmt.Errorf("%.60q is neither GeoJSON nor well-known text (POINT(longitude latitude), POLYGON((…)) and so on): %w", text, err)
	}
	s.addGeometry(g)
	return nil
}

// addGeometry adds a geometry of the library.
func (s *shape) addGeometry(g geom.Geometry) {
	switch g.Type() {
	case geom.TypePoint:
		if p, ok := g.MustAsPoint().XY(); ok {
			s.points = append(s.points, xy{p.X, p.Y})
		}
	case geom.TypeMultiPoint:
		m := g.MustAsMultiPoint()
		for i := range m.NumPoints() {
			s.addGeometry(m.PointN(i).AsGeometry())
		}
	case geom.TypeLineString:
		if line := sequence(g.MustAsLineString().Coordinates()); len(line) > 0 {
			s.lines = append(s.lines, line)
		}
	case geom.TypeMultiLineString:
		m := g.MustAsMultiLineString()
		for i := range m.NumLineStrings() {
			s.addGeometry(m.LineStringN(i).AsGeometry())
		}
	case geom.TypePolygon:
		p := g.MustAsPolygon()
		if p.IsEmpty() {
			return
		}
		rings := [][]xy{sequence(p.ExteriorRing().Coordinates())}
		for i := range p.NumInteriorRings() {
			rings = append(rings, sequence(p.InteriorRingN(i).Coordinates()))
		}
		s.polygons = append(s.polygons, rings)
	case geom.TypeMultiPolygon:
		m := g.MustAsMultiPolygon()
		for i := range m.NumPolygons() {
			s.addGeometry(m.PolygonN(i).AsGeometry())
		}
	case geom.TypeGeometryCollection:
		c := g.MustAsGeometryCollection()
		for i := range c.NumGeometries() {
			s.addGeometry(c.GeometryN(i))
		}
	}
}

func sequence(seq geom.Sequence) []xy {
	list := make([]xy, seq.Length())
	for i := range list {
		p := seq.GetXY(i)
		list[i] = xy{p.X, p.Y}
	}
	return list
}
