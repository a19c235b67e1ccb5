package geo

import "math"

// area is a polygon of the plane with an index of its edges, for finding
// points in it: horizontal slabs, each with the edges that touch it.
type area struct {
	box   box
	edges []edge
	// slabs[i] to slabs[i+1] are the places in order of the edges in slab i.
	slabs []int32
	order []int32
	scale float64
}

type edge struct{ a, b xy }

// place is where a point is.
type place uint8

const (
	outside place = iota
	onEdge
	inside
)

const (
	// edgesPerSlab is about how many edges a look-up goes through.
	edgesPerSlab = 4
	maxSlabs     = 4096
	// slabsPerEdge bounds in how many slabs an edge is on average: the edges of
	// a comb are all as high as the whole, and would be in every slab.
	slabsPerEdge = 8
)

func newArea(rings [][]xy) *area {
	r := &area{box: emptyBox()}
	climbed := 0.0
	for _, ring := range rings {
		for i, p := range ring {
			next := ring[(i+1)%len(ring)]
			r.box.add(p)
			r.edges = append(r.edges, edge{p, next})
			climbed += math.Abs(next.y - p.y)
		}
	}
	n := max(1, min(len(r.edges)/edgesPerSlab, maxSlabs))
	if height := r.box.high.y - r.box.low.y; height > 0 {
		n = max(1, min(n, int(float64(slabsPerEdge*len(r.edges))*(height/climbed))))
		r.scale = float64(n) / height
	} else {
		n = 1
	}
	// Count, then fill: the edges of a slab lie side by side.
	r.slabs = make([]int32, n+1)
	for _, e := range r.edges {
		low, high := r.slabsOf(e)
		for i := low; i <= high; i++ {
			r.slabs[i+1]++
		}
	}
	for i := range n {
		r.slabs[i+1] += r.slabs[i]
	}
	r.order = make([]int32, r.slabs[n])
	next := append([]int32(nil), r.slabs[:n]...)
	for k, e := range r.edges {
		low, high := r.slabsOf(e)
		for i := low; i <= high; i++ {
			r.order[next[i]] = int32(k)
			next[i]++
		}
	}
	return r
}

// slab returns the slab of a height within the box.
func (r *area) slab(y float64) int {
	return max(0, min(int((y-r.box.low.y)*r.scale), len(r.slabs)-2))
}

func (r *area) slabsOf(e edge) (low, high int) {
	return r.slab(min(e.a.y, e.b.y)), r.slab(max(e.a.y, e.b.y))
}

// locate tells where p is: it counts the edges to the right of p, of which an
// odd number means inside. Holes need no care, since their edges count too.
func (r *area) locate(p xy) place {
	if !r.box.contains(p) {
		return outside
	}
	odd := false
	i := r.slab(p.y)
	for _, k := range r.order[r.slabs[i]:r.slabs[i+1]] {
		e := &r.edges[k]
		a, b := e.a, e.b
		if a.y > b.y {
			a, b = b, a
		}
		if p.y < a.y || p.y > b.y {
			continue
		}
		// Twice the area of the triangle a, b, p: above 0 to the left.
		side := (b.x-a.x)*(p.y-a.y) - (b.y-a.y)*(p.x-a.x)
		if side == 0 && p.x >= min(a.x, b.x) && p.x <= max(a.x, b.x) {
			return onEdge
		}
		// The upper end belongs to the next edge.
		if p.y < b.y && side > 0 {
			odd = !odd
		}
	}
	if odd {
		return inside
	}
	return outside
}
