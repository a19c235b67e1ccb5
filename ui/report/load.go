package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"millrace/connector"
)

// maxSize bounds a report file; one of a day-long run has well under 1 MB.
const maxSize = 64 << 20

// Write writes the report as JSON on one line, as --json does.
func (r *Report) Write(w io.Writer) error {
	if err := json.NewEncoder(w).Encode(r); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// Read reads a report. Fields that it does not know are ignored, as later
// versions may add some.
func Read(in io.Reader) (*Report, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read a report: %w", err)
	}
	if len(data) > maxSize {
		return nil, errors.New("no report of a run: larger than 64 MB")
	}
	// What else may be at hand is told from reports before its members are
	// looked at, which may have the same names and other types.
	var kind struct{ Schema string }
	text := bytes.TrimLeft(data, " \t\r\n")
	switch err := json.Unmarshal(data, &kind); {
	case len(text) == 0:
		return nil, hint(errors.New("no report of a run: it is empty"))
	case text[0] == '<':
		return nil, &connector.Hinted{Hint: "the page of a run has a button that saves its JSON",
			Err: errors.New("no report of a run: it is a page, not the JSON")}
	case err != nil && !json.Valid(data):
		return nil, hint(fmt.Errorf("no report of a run: it is not JSON: %w", err))
	case strings.HasPrefix(kind.Schema, "millrace.compare/"):
		return nil, hint(errors.New("no report of a run: it is a comparison of several"))
	case err != nil, !strings.HasPrefix(kind.Schema, "millrace.report/"):
		return nil, hint(errors.New("no report of a run: it does not say that it is one"))
	case kind.Schema != Schema:
		return nil, hint(fmt.Errorf("no report that this version reads: its format is %q, not %q", kind.Schema, Schema))
	}
	r := new(Report)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, hint(fmt.Errorf("no report of a run: %w", err))
	}
	return r, nil
}

func hint(err error) error {
	return &connector.Hinted{Hint: "reports are what `millrace run --json` writes", Err: err}
}

// Load reads the report in a file.
func Load(path string) (*Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read a report: %w", err)
	}
	defer f.Close()
	r, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// masks find secrets in text for people: a password in an address, and the
// secret parts of connection strings.
var masks = []*regexp.Regexp{
	regexp.MustCompile(`(://[^\s/:@]*:)([^\s/@]+)(@)`),
	regexp.MustCompile(`(?i)(\b(?:SharedAccessKey|AccountKey|SharedAccessSignature|password|pwd|sasl\.password)\s*=\s*)([^;&\s"']+)()`),
}

// Mask replaces what looks like a secret by ***. Descriptions and
// configurations should come without secrets; this is the second lock.
func Mask(s string) string {
	for _, m := range masks {
		s = m.ReplaceAllString(s, "${1}***${3}")
	}
	return s
}
