package geo

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"millrace/process/streamanalytics/value"
)

// xy is a position: longitude and latitude in degrees.
type xy struct{ x, y float64 }

// check returns an error for a position that is nowhere on the globe.
// Longitudes may go around it more than once.
func (p xy) check() error {
	if math.IsNaN(p.x) || math.IsInf(p.x, 0) || math.IsNaN(p.y) || p.y < -90 || p.y > 90 {
		return fmt.Errorf("longitude %v, latitude %v is no position: a latitude is from -90 to 90 degrees", p.x, p.y)
	}
	return nil
}

// shape is a geography: points, lines and polygons, a polygon being its outer
// ring and its holes. Rings are clean and do not repeat their first point. It
// is immutable.
type shape struct {
	points   []xy
	lines    [][]xy
	polygons [][][]xy
	box      box

	// One of the two is set unless the shape is a single point, by the level
	// of the call that reads it.
	plane  *planeShape
	sphere *sphereShape
	level  value.Level
}

// single returns the position of a shape that is one point.
func (s *shape) single() (xy, bool) {
	if len(s.points) == 1 && len(s.lines) == 0 && len(s.polygons) == 0 {
		return s.points[0], true
	}
	return xy{}, false
}

func (s *shape) empty() bool { return len(s.points) == 0 && len(s.lines) == 0 && len(s.polygons) == 0 }

// finish checks a shape that has been read, cleans its rings and prepares it
// for the relations of a level.
func (s *shape) finish(level value.Level) error {
	s.level = level
	s.box = emptyBox()
	check := func(list []xy) error {
		for _, p := range list {
			if err := p.check(); err != nil {
				return err
			}
			s.box.add(p)
		}
		return nil
	}
	if err := check(s.points); err != nil {
		return err
	}
	for i, line := range s.lines {
		if err := check(line); err != nil {
			return err
		}
		if s.lines[i] = slices.Compact(line); len(line) < 2 {
			return errors.New("a line needs at least two points")
		}
	}
	for _, rings := range s.polygons {
		for i, ring := range rings {
			if err := check(ring); err != nil {
				return err
			}
			clean, err := cleanRing(ring)
			if err != nil {
				return err
			}
			rings[i] = clean
		}
	}
	if _, ok := s.single(); ok {
		return nil
	}
	var err error
	if level == value.Level12 {
		s.plane, err = newPlaneShape(s)
		return err
	}
	s.sphere, err = newSphereShape(s)
	return err
}

// cleanRing returns the corners of a ring: without the repeated first point,
// without points that follow themselves, and without spikes, where the ring
// goes to a point and straight back.
func cleanRing(ring []xy) ([]xy, error) {
	var out []xy
	for _, p := range ring {
		for len(out) >= 2 && out[len(out)-2] == p {
			// Back to where it came from: the tip goes.
			out = out[:len(out)-1]
		}
		if len(out) == 0 || out[len(out)-1] != p {
			out = append(out, p)
		}
	}
	for len(out) >= 2 {
		last := len(out) - 1
		switch {
		case out[0] == out[last], len(out) >= 3 && out[0] == out[last-1]:
			out = out[:last]
			continue
		case len(out) >= 3 && out[1] == out[last]:
			out = out[1:]
			continue
		}
		break
	}
	if len(out) < 3 {
		return nil, errors.New("a polygon's ring needs at least three different points")
	}
	return out, nil
}

// box is a rectangle of the plane.
type box struct{ low, high xy }

func emptyBox() box {
	return box{low: xy{math.Inf(1), math.Inf(1)}, high: xy{math.Inf(-1), math.Inf(-1)}}
}

func (b *box) add(p xy) {
	b.low.x, b.low.y = math.Min(b.low.x, p.x), math.Min(b.low.y, p.y)
	b.high.x, b.high.y = math.Max(b.high.x, p.x), math.Max(b.high.y, p.y)
}

func (b box) contains(p xy) bool {
	return p.x >= b.low.x && p.x <= b.high.x && p.y >= b.low.y && p.y <= b.high.y
}

// meets reports whether two rectangles have a point in common.
func (b box) meets(o box) bool {
	return b.low.x <= o.high.x && o.low.x <= b.high.x && b.low.y <= o.high.y && o.low.y <= b.high.y
}

// covers reports whether o lies in b.
func (b box) covers(o box) bool { return b.contains(o.low) && b.contains(o.high) }

// The relations, by the level with which the shapes were read.

func intersects(a, b *shape) (bool, error) {
	if a.empty() || b.empty() {
		return false, nil
	}
	if a.level == value.Level12 {
		return planeIntersects(a, b)
	}
	return sphereIntersects(a, b), nil
}

func within(a, b *shape) (bool, error) {
	if a.empty() || b.empty() {
		return false, nil
	}
	if a.level == value.Level12 {
		return planeWithin(a, b)
	}
	return sphereWithin(a, b), nil
}

func overlaps(a, b *shape) (bool, error) {
	if a.empty() || b.empty() {
		return false, nil
	}
	if a.level == value.Level12 {
		return planeOverlaps(a, b)
	}
	return sphereOverlaps(a, b), nil
}
