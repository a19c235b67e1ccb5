// Package files reads events and reference data from files: JSON (objects one
// after the other, or arrays), CSV with a row of names, Avro and Parquet, each
// also compressed with gzip. Whatever the format, a record comes out as the text
// of a JSON object, which is what the engine reads.
//
// Files are untrusted: readers take bounded memory (a record of at most 256 MB),
// and damaged files end in an error that names the place.
package files
