// Package geo holds the geospatial functions of the Stream Analytics query
// language: CreatePoint, CreateLineString, CreatePolygon, ST_DISTANCE,
// ST_INTERSECTS, ST_OVERLAPS and ST_WITHIN.
//
// # Arguments
//
// A geography is a GeoJSON record or a text: GeoJSON again, or well-known text
// (POINT(lon lat), POLYGON((…)) and so on). Points, lines, polygons, their
// multiples and collections of them are taken; heights are ignored. Longitude
// comes first in both forms, latitude first in CreatePoint. A ring need not be
// closed, and GeoJSON polygons may leave the brackets around a single ring
// out: the service's documentation has examples of both.
//
// NULL as any argument gives NULL. Anything else that is no geography is an
// error: a wrong type, text that can not be read, a latitude beyond ±90, a
// ring without three different points.
//
// # Two geometries
//
// Below compatibility level 1.2 the relations are those of geography: edges
// are great circles on a sphere, and a polygon lies to the left of its ring,
// so a clockwise one is the whole globe without what it goes around. Whether a
// point on an edge is within a polygon is left open there; of two polygons
// that share an edge it is within exactly one. So is the relation of two
// polygons that touch along a part of an edge: rounding decides it.
//
// From level 1.2 on they are those of plane geometry, with longitude and
// latitude as coordinates: edges are straight lines on the map, the direction
// of a ring has no meaning, and nothing wraps around at 180°. A point on the
// edge of a polygon is not within it but intersects it, as the simple features
// standard has it.
//
// ST_DISTANCE is the same in both: the length in metres of the shortest path
// on the WGS 84 ellipsoid between two points, or to the nearest point of a
// line. With a polygon it is 0, as documented.
//
// # Cost
//
// An argument that is a constant is read once. Of other texts and records that
// are no single points, each call keeps the ones it saw lately, so that the
// polygons of reference data are read once as well. A point is looked for in a
// polygon through an index of its edges.
package geo
