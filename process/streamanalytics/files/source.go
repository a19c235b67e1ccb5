package files

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Format is how the records of a file are written.
type Format uint8

// The formats. AutoFormat means: by the file's suffix, else JSON.
const (
	AutoFormat Format = iota
	JSON
	CSV
	Avro
	Parquet
)

var formatNames = [...]string{"", "json", "csv", "avro", "parquet"}

// String returns the word by which a format is asked for.
func (f Format) String() string { return formatNames[f] }

// parseFormat reads the word for a format.
func parseFormat(word string) (Format, bool) {
	i := slices.Index(formatNames[1:], strings.ToLower(word))
	return Format(i + 1), i >= 0
}

// Stdin is the path that stands for standard input.
const Stdin = "-"

// File is one file that feeds an input or reference data.
type File struct {
	// Name is the input's name in the query.
	Name string
	// Path is the file, Stdin, or for reference data also a pattern with {date}
	// and {time}.
	Path string
	// Format is how its records are written; AutoFormat goes by the suffix.
	Format Format
	// Delimiter separates the values of CSV, 0 for a comma (a tab in a .tsv).
	Delimiter rune
}

// Parse reads NAME=PATH or NAME=PATH:FORMAT, as --input and --reference
// take it. flag is the option's name, for the error.
func Parse(flag, text string) (File, error) {
	name, path, ok := strings.Cut(text, "=")
	name = strings.TrimSpace(name)
	if bare, found := strings.CutPrefix(name, "["); found && strings.HasSuffix(bare, "]") {
		name = strings.TrimSuffix(bare, "]")
	}
	if !ok || name == "" || path == "" {
		return File{}, Misuse(fmt.Sprintf("for example: --%s Input=events.json", flag), "--%s must be NAME=FILE, not `%s`", flag, text)
	}
	f := File{Name: name, Path: path}
	// A drive letter and a colon in a folder's name are no format.
	if i := strings.LastIndexByte(path, ':'); i > 0 {
		if format, ok := parseFormat(path[i+1:]); ok {
			f.Path, f.Format = path[:i], format
		} else if word := path[i+1:]; isWord(word) && !strings.ContainsAny(path[i:], `/\`) && !strings.Contains(path, "}:") && len(word) <= 8 {
			return File{}, Misuse("the formats are json, csv, avro and parquet", "--%s: there is no format `%s`", flag, word)
		}
	}
	return f, nil
}

func isWord(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r < 'a' || r > 'z' }) < 0
}

// resolved is the file's format and delimiter, by its suffix if it does not
// say; compressed tells whether it is compressed with gzip by its name.
func (f File) resolved() (format Format, delimiter rune, compressed bool) {
	name := strings.ToLower(filepath.Base(f.Path))
	name, compressed = strings.CutSuffix(name, ".gz")
	format, delimiter = f.Format, f.Delimiter
	suffix := filepath.Ext(name)
	if delimiter == 0 {
		delimiter = ','
		if suffix == ".tsv" {
			delimiter = '\t'
		}
	}
	if format == AutoFormat {
		switch suffix {
		case ".csv", ".tsv":
			format = CSV
		case ".avro":
			format = Avro
		case ".parquet":
			format = Parquet
		default:
			format = JSON
		}
	}
	return format, delimiter, compressed
}
