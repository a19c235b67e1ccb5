package geo

import (
	"math"

	"github.com/golang/geo/s2"
)

// The WGS 84 ellipsoid: half its equatorial and polar axes in metres, and its
// flattening.
const (
	equatorial = 6378137.0
	flattening = 1 / 298.257223563
	polar      = equatorial * (1 - flattening)
)

// distance returns metres; ok is false when one shape is empty.
func distance(a, b *shape) (metres float64, ok bool) {
	if a.empty() || b.empty() {
		return 0, false
	}
	if len(a.polygons) > 0 || len(b.polygons) > 0 {
		return 0, true
	}
	p, pok := a.single()
	q, qok := b.single()
	if pok && qok {
		return geodesic(p, q), true
	}
	metres = math.Inf(1)
	for _, e := range segments(a) {
		for _, f := range segments(b) {
			m, n := s2.EdgePairClosestPoints(e[0], e[1], f[0], f[1])
			metres = math.Min(metres, geodesic(degrees(m), degrees(n)))
		}
	}
	return metres, true
}

// segments returns the edges of lines, and points as edges of no length.
func segments(s *shape) (out [][2]s2.Point) {
	for _, p := range s.points {
		q := spherePoint(p)
		out = append(out, [2]s2.Point{q, q})
	}
	for _, line := range s.lines {
		points := spherePoints(line)
		for i := range points {
			out = append(out, [2]s2.Point{points[max(i-1, 0)], points[i]})
		}
	}
	return out
}

func degrees(p s2.Point) xy {
	ll := s2.LatLngFromPoint(p)
	return xy{ll.Lng.Degrees(), ll.Lat.Degrees()}
}

// geodesic returns the length in metres of the shortest path on the ellipsoid
// between two points, to about a millimetre.
func geodesic(p, q xy) float64 {
	if m, ok := vincenty(p, q); ok {
		return m
	}
	// The points are nearly antipodal, where the iteration does not settle.
	// The path leads through some point that is a quarter of the globe away
	// from p, and by way of any such point there is a path that is no
	// shorter: the best one is looked for, first on a grid, since there may
	// be two minima, then by halving brackets.
	from := spherePoint(p)
	east := s2.Point{Vector: from.Ortho()}
	north := s2.Point{Vector: from.Cross(east.Vector)}
	by := func(angle float64) float64 {
		sin, cos := math.Sincos(angle)
		via := degrees(s2.Point{Vector: east.Mul(cos).Add(north.Mul(sin)).Normalize()})
		m, _ := vincenty(p, via)
		n, _ := vincenty(via, q)
		return m + n
	}
	const grid = 64
	best := 0.0
	for i := 1; i < grid; i++ {
		if angle := 2 * math.Pi * float64(i) / grid; by(angle) < by(best) {
			best = angle
		}
	}
	golden := (math.Sqrt(5) - 1) / 2
	low, high := best-2*math.Pi/grid, best+2*math.Pi/grid
	for range 60 {
		x, y := high-golden*(high-low), low+golden*(high-low)
		if by(x) < by(y) {
			high = y
		} else {
			low = x
		}
	}
	return by((low + high) / 2)
}

// vincenty solves the inverse problem by Vincenty's iteration (Survey Review
// 176, 1975). ok is false if it does not converge.
func vincenty(p, q xy) (metres float64, ok bool) {
	const radian = math.Pi / 180
	delta := math.Remainder(q.x-p.x, 360) * radian
	su1, cu1 := math.Sincos(math.Atan((1 - flattening) * math.Tan(p.y*radian)))
	su2, cu2 := math.Sincos(math.Atan((1 - flattening) * math.Tan(q.y*radian)))
	lambda := delta
	for range 100 {
		sl, cl := math.Sincos(lambda)
		sinSigma := math.Hypot(cu2*sl, cu1*su2-su1*cu2*cl)
		cosSigma := su1*su2 + cu1*cu2*cl
		sigma := math.Atan2(sinSigma, cosSigma)
		if sinSigma == 0 {
			if cosSigma > 0 {
				return 0, true
			}
			return 0, false
		}
		sinAlpha := cu1 * cu2 * sl / sinSigma
		cos2Alpha := 1 - sinAlpha*sinAlpha
		cos2M := 0.0
		if cos2Alpha > 0 {
			cos2M = cosSigma - 2*su1*su2/cos2Alpha
		}
		c := flattening / 16 * cos2Alpha * (4 + flattening*(4-3*cos2Alpha))
		next := delta + (1-c)*flattening*sinAlpha*
			(sigma+c*sinSigma*(cos2M+c*cosSigma*(2*cos2M*cos2M-1)))
		if math.Abs(next) > math.Pi {
			return 0, false
		}
		if math.Abs(next-lambda) > 1e-13 {
			lambda = next
			continue
		}
		u2 := cos2Alpha * (equatorial*equatorial - polar*polar) / (polar * polar)
		a := 1 + u2/16384*(4096+u2*(-768+u2*(320-175*u2)))
		b := u2 / 1024 * (256 + u2*(-128+u2*(74-47*u2)))
		correction := b * sinSigma * (cos2M + b/4*(cosSigma*(2*cos2M*cos2M-1)-
			b/6*cos2M*(4*sinSigma*sinSigma-3)*(4*cos2M*cos2M-3)))
		return polar * a * (sigma - correction), true
	}
	return 0, false
}
