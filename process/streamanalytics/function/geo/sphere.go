package geo

import (
	"errors"
	"fmt"
	"slices"

	"github.com/golang/geo/s1"
	"github.com/golang/geo/s2"
)

// touching is how near a point must be to another one or to a line to be on
// it: about 6 mm.
const touching = s1.Angle(1e-9)

// sphereShape is a shape prepared for geometry on the sphere.
type sphereShape struct {
	lines    []s2.Polyline
	polygons []*s2.Polygon
}

func newSphereShape(s *shape) (*sphereShape, error) {
	out := &sphereShape{}
	for _, line := range s.lines {
		out.lines = append(out.lines, spherePoints(line))
	}
	for _, rings := range s.polygons {
		loops := make([]*s2.Loop, len(rings))
		for i, ring := range rings {
			loop, err := sphereLoop(ring)
			if err != nil {
				return nil, err
			}
			loops[i] = loop
		}
		if len(loops) == 1 {
			out.polygons = append(out.polygons, s2.PolygonFromLoops(loops))
		} else {
			out.polygons = append(out.polygons, s2.PolygonFromOrientedLoops(loops))
		}
	}
	return out, nil
}

func sphereLoop(ring []xy) (*s2.Loop, error) {
	points := spherePoints(ring)
	for len(points) > 1 && points[0] == points[len(points)-1] {
		points = points[:len(points)-1]
	}
	if len(points) < 3 {
		return nil, errors.New("a polygon's ring needs at least three different points")
	}
	loop := s2.LoopFromPoints(points)
	if err := loop.Validate(); err != nil {
		return nil, fmt.Errorf("the ring of the polygon is not valid: %w", err)
	}
	return loop, nil
}

func spherePoint(p xy) s2.Point { return s2.PointFromLatLng(s2.LatLngFromDegrees(p.y, p.x)) }

func spherePoints(list []xy) []s2.Point {
	out := make([]s2.Point, 0, len(list))
	for _, p := range list {
		// Different coordinates may be the same point: the poles have all
		// longitudes.
		if q := spherePoint(p); len(out) == 0 || out[len(out)-1] != q {
			out = append(out, q)
		}
	}
	return out
}

// sphereParts returns the prepared parts; a single point has none.
func (s *shape) sphereParts() sphereShape {
	if s.sphere != nil {
		return *s.sphere
	}
	return sphereShape{}
}

func sphereIntersects(a, b *shape) bool {
	pa, pb := a.sphereParts(), b.sphereParts()
	for _, p := range a.points {
		if sphereTouches(spherePoint(p), b, pb) {
			return true
		}
	}
	for _, p := range b.points {
		if sphereTouches(spherePoint(p), a, pa) {
			return true
		}
	}
	for i := range pa.lines {
		for k := range pb.lines {
			if pa.lines[i].Intersects(&pb.lines[k]) {
				return true
			}
		}
		for _, polygon := range pb.polygons {
			if lineMeetsPolygon(pa.lines[i], polygon) {
				return true
			}
		}
	}
	for _, polygon := range pa.polygons {
		for k := range pb.lines {
			if lineMeetsPolygon(pb.lines[k], polygon) {
				return true
			}
		}
		for _, other := range pb.polygons {
			if polygon.Intersects(other) {
				return true
			}
		}
	}
	return false
}

// sphereTouches reports whether a point is on or in any part of a shape.
func sphereTouches(p s2.Point, s *shape, parts sphereShape) bool {
	for _, q := range s.points {
		if p.Distance(spherePoint(q)) <= touching {
			return true
		}
	}
	for i := range parts.lines {
		if near, _ := parts.lines[i].Project(p); p.Distance(near) <= touching {
			return true
		}
	}
	return slices.ContainsFunc(parts.polygons, func(polygon *s2.Polygon) bool { return polygon.ContainsPoint(p) })
}

// lineMeetsPolygon reports whether a line has a point in a polygon.
func lineMeetsPolygon(line s2.Polyline, polygon *s2.Polygon) bool {
	return polygon.ContainsPoint(line[0]) || lineCrosses(line, polygon)
}

// lineCrosses reports whether a line crosses the edge of a polygon.
func lineCrosses(line s2.Polyline, polygon *s2.Polygon) bool {
	bound := polygon.RectBound()
	if !line.RectBound().Intersects(bound) {
		return false
	}
	for i := 1; i < len(line); i++ {
		for _, loop := range polygon.Loops() {
			crosser := s2.NewChainEdgeCrosser(line[i-1], line[i], loop.Vertex(0))
			for k := 1; k <= loop.NumVertices(); k++ {
				if crosser.ChainCrossingSign(loop.Vertex(k)) == s2.Cross {
					return true
				}
			}
		}
	}
	return false
}

// sphereWithin reports whether each part of a lies in a polygon of b.
func sphereWithin(a, b *shape) bool {
	pa, pb := a.sphereParts(), b.sphereParts()
	in := func(test func(*s2.Polygon) bool) bool { return slices.ContainsFunc(pb.polygons, test) }
	for _, p := range a.points {
		q := spherePoint(p)
		if !in(func(polygon *s2.Polygon) bool { return polygon.ContainsPoint(q) }) {
			return false
		}
	}
	for _, line := range pa.lines {
		if !in(func(polygon *s2.Polygon) bool {
			return !lineCrosses(line, polygon) && !slices.ContainsFunc(line, func(p s2.Point) bool { return !polygon.ContainsPoint(p) })
		}) {
			return false
		}
	}
	for _, part := range pa.polygons {
		if !in(func(polygon *s2.Polygon) bool { return polygon.Contains(part) }) {
			return false
		}
	}
	return true
}

// sphereOverlaps reports whether areas overlap and none lies in the other.
func sphereOverlaps(a, b *shape) bool {
	if len(a.polygons) == 0 || len(b.polygons) == 0 {
		return false
	}
	return sphereIntersects(a, b) && !sphereWithin(a, b) && !sphereWithin(b, a)
}
