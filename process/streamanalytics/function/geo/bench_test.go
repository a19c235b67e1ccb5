package geo

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"millrace/process/streamanalytics/value"
)

func BenchmarkWithin(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, level := range []value.Level{value.Level11, value.Level12} {
		name := "plane"
		if level != value.Level12 {
			name = "geography"
		}
		for _, corners := range []int{12, 1000} {
			polygon := value.Text(wkt(star(random, xy{5, 45}, corners, 1)))
			points := []value.Value{arg("POINT(5.01 45.02)"), arg(`{"type":"Point","coordinates":[5.3,45.4]}`), arg("POINT(6 46)")}
			b.Run(name+"/cached/"+strconv.Itoa(corners), func(b *testing.B) {
				benchmark(b, compile(b, "ST_WITHIN", Call{Level: level}), points, polygon)
			})
			b.Run(name+"/constant/"+strconv.Itoa(corners), func(b *testing.B) {
				f := compile(b, "ST_WITHIN", Call{Level: level, Consts: []value.Value{{}, polygon}, Known: []bool{false, true}})
				benchmark(b, f, points, polygon)
			})
		}
	}
}

func BenchmarkDistance(b *testing.B) {
	f := compile(b, "ST_DISTANCE", Call{})
	benchmark(b, f, []value.Value{arg("POINT(5.01 45.02)"), arg("POINT(100 10)")}, arg("POINT(6 46)"))
}

func BenchmarkCreatePoint(b *testing.B) {
	f := compile(b, "CreatePoint", Call{})
	benchmark(b, f, []value.Value{value.Double(45)}, value.Double(5))
}

func BenchmarkOverlapsUncached(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	var polygons []value.Value
	for range 5000 {
		polygons = append(polygons, value.Text(wkt(star(random, xy{5, 45}, 12, 1))))
	}
	benchmark(b, compile(b, "ST_OVERLAPS", Call{}), polygons, polygons[0])
}

func benchmark(b *testing.B, f Func, first []value.Value, second value.Value) {
	args := []value.Value{{}, second}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		args[0] = first[i%len(first)]
		if _, err := f(args); err != nil {
			b.Fatal(err)
		}
	}
}
