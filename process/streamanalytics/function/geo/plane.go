package geo

import (
	"fmt"

	"github.com/peterstace/simplefeatures/geom"
)

// planeShape is a shape prepared for plane geometry.
type planeShape struct {
	geometry geom.Geometry
	areas    []*area
}

func newPlaneShape(s *shape) (*planeShape, error) {
	p := &planeShape{}
	var points []geom.Point
	for _, q := range s.points {
		points = append(points, planePoint(q))
	}
	var lines []geom.LineString
	for _, l := range s.lines {
		lines = append(lines, geom.NewLineString(planeSequence(l, false)))
	}
	var polygons []geom.Polygon
	for _, rings := range s.polygons {
		p.areas = append(p.areas, newArea(rings))
		var g []geom.LineString
		for _, r := range rings {
			g = append(g, geom.NewLineString(planeSequence(r, true)))
		}
		polygons = append(polygons, geom.NewPolygon(g))
	}
	// The relations want one type, not a collection, where that is possible.
	switch {
	case len(lines) == 0 && len(polygons) == 0:
		p.geometry = geom.NewMultiPoint(points).AsGeometry()
	case len(points) == 0 && len(polygons) == 0:
		p.geometry = geom.NewMultiLineString(lines).AsGeometry()
	case len(points) == 0 && len(lines) == 0:
		p.geometry = geom.NewMultiPolygon(polygons).AsGeometry()
	default:
		all := []geom.Geometry{geom.NewMultiPoint(points).AsGeometry(), geom.NewMultiLineString(lines).AsGeometry(), geom.NewMultiPolygon(polygons).AsGeometry()}
		p.geometry = geom.NewGeometryCollection(all).AsGeometry()
	}
	if err := p.geometry.Validate(); err != nil {
		return nil, fmt.Errorf("the geometry is not valid: %w", err)
	}
	return p, nil
}

func planePoint(p xy) geom.Point { return geom.XY{X: p.x, Y: p.y}.AsPoint() }

func planeSequence(list []xy, closed bool) geom.Sequence {
	flat := make([]float64, 0, 2*len(list)+2)
	for _, p := range list {
		flat = append(flat, p.x, p.y)
	}
	if closed {
		flat = append(flat, list[0].x, list[0].y)
	}
	return geom.NewSequence(flat, geom.DimXY)
}

// planeGeometry returns the library's form of a shape.
func (s *shape) planeGeometry() geom.Geometry {
	if s.plane != nil {
		return s.plane.geometry
	}
	return planePoint(s.points[0]).AsGeometry()
}

// planeAreas returns the polygons of a shape that has nothing else.
func (s *shape) planeAreas() ([]*area, bool) {
	if s.plane == nil || len(s.points) > 0 || len(s.lines) > 0 {
		return nil, false
	}
	return s.plane.areas, true
}

func planeIntersects(a, b *shape) (bool, error) {
	if !a.box.meets(b.box) {
		return false, nil
	}
	p, point := a.single()
	other := b
	if !point {
		p, point = b.single()
		other = a
	}
	if areas, ok := other.planeAreas(); ok && point {
		for _, area := range areas {
			if area.locate(p) != outside {
				return true, nil
			}
		}
		return false, nil
	}
	return geom.Intersects(a.planeGeometry(), b.planeGeometry()), nil
}

func planeWithin(a, b *shape) (bool, error) {
	if !b.box.covers(a.box) {
		return false, nil
	}
	p, point := a.single()
	if areas, ok := b.planeAreas(); ok && point {
		for _, area := range areas {
			if area.locate(p) == inside {
				return true, nil
			}
		}
		return false, nil
	}
	return geom.Within(a.planeGeometry(), b.planeGeometry())
}

func planeOverlaps(a, b *shape) (bool, error) {
	if !a.box.meets(b.box) {
		return false, nil
	}
	return geom.Overlaps(a.planeGeometry(), b.planeGeometry())
}
