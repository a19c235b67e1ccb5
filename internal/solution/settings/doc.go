// Package settings reads a YAML document into the plain structs that the parts
// of Millrace keep their options in, and remembers where every value came
// from. The structs' tags are the only description of an option; decoding,
// defaults, environment variables, the printed configuration and the JSON
// Schema all follow from them:
//
//	yaml:"name"        the key; `yaml:",inline"` lifts a struct's keys up
//	doc:"..."          one sentence for people
//	env:"NAME"         environment variable that overrides it; several names
//	                   separated by commas: the first that is set counts
//	secret:"true"      printed as ***, never quoted in an error
//	min:"1" max:"9"    bounds, written like the value itself
//	enum:"a,b"         the only values allowed
//	required:"true"    must not stay empty
//	file:"true"        a file's path, relative to the document's folder
//
// Fields without a yaml tag do not exist for this package. Fields may be
// strings, booleans, numbers, types with UnmarshalText, structs, pointers to
// these, slices, and maps with string or integer keys.
//
// Nothing here is safe for concurrent use, and nothing is kept between calls.
package settings
