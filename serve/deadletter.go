package serve

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"millrace/connector"
	"millrace/record"
)

// DeadLetterFile keeps dead letters as JSON lines, for people and for jq:
//
//	{"partition":3,"offset":17,"reason":"not-json","detail":"…","at":"…",
//	 "key":"…","raw":"…"}
//
// Key and raw are text where they are valid UTF-8, else base64 under
// keyBase64 and rawBase64. Several workers may append to one file: each batch
// is one write to a file opened for appending. A line torn by a kill is
// skipped by readers; its letters were not acknowledged, so their inputs are
// processed again.
type DeadLetterFile struct {
	path string
	mu   sync.Mutex
	f    *os.File
}

// OpenDeadLetterFile opens or creates the file.
func OpenDeadLetterFile(path string) (*DeadLetterFile, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("creating the folder for dead letters: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the dead letters: %w", err)
	}
	d := &DeadLetterFile{path: path, f: f}
	if err := d.endTornLine(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return d, nil
}

// endTornLine keeps the next letter from being glued to half a line.
func (d *DeadLetterFile) endTornLine() error {
	info, err := d.f.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	var last [1]byte
	if _, err := d.f.ReadAt(last[:], info.Size()-1); err != nil {
		return fmt.Errorf("reading the end of %s: %w", d.path, err)
	}
	if last[0] == '\n' {
		return nil
	}
	_, err = d.f.Write([]byte{'\n'})
	return err
}

// Describe implements connector.DeadLetters.
func (d *DeadLetterFile) Describe() string { return "file " + d.path }

type letterLine struct {
	Partition int32         `json:"partition"`
	Offset    int64         `json:"offset"`
	Reason    record.Reason `json:"reason"`
	Detail    string        `json:"detail"`
	At        time.Time     `json:"at"`
	Key       string        `json:"key,omitempty"`
	KeyBase64 []byte        `json:"keyBase64,omitempty"`
	Raw       string        `json:"raw,omitempty"`
	RawBase64 []byte        `json:"rawBase64,omitempty"`
}

func textOrBytes(b []byte) (string, []byte) {
	if utf8.Valid(b) {
		return string(b), nil
	}
	return "", b
}

// Write implements connector.DeadLetters.
func (d *DeadLetterFile) Write(_ context.Context, letters []record.DeadLetter) error {
	var lines []byte
	for i := range letters {
		l := &letters[i]
		line := letterLine{Partition: l.Partition, Offset: l.Offset, Reason: l.Reason, Detail: l.Detail,
			At: time.UnixMicro(l.At).UTC()}
		line.Key, line.KeyBase64 = textOrBytes(l.Key)
		line.Raw, line.RawBase64 = textOrBytes(l.Raw)
		text, err := json.Marshal(&line)
		if err != nil {
			return fmt.Errorf("encoding a dead letter: %w", err)
		}
		lines = append(append(lines, text...), '\n')
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.f.Write(lines); err != nil {
		// Part of a line may be there: the next write must not join it.
		return errors.Join(hinted(fmt.Errorf("appending dead letters: %w", err)), d.endTornLine())
	}
	return nil
}

func hinted(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &connector.Hinted{Err: err, Hint: "free some space; the run can be continued with the same --data-dir"}
	}
	return err
}

// Scan implements connector.DeadLetters.
func (d *DeadLetterFile) Scan(ctx context.Context, fn func(*record.DeadLetter) error) error {
	f, err := os.Open(d.path)
	if err != nil {
		return fmt.Errorf("reading the dead letters: %w", err)
	}
	defer f.Close()
	return scanLetters(ctx, f, fn)
}

// maxLetterLine bounds a line: the largest message a broker takes, as base64
// or with every byte escaped, and some.
const maxLetterLine = 64 << 20

func scanLetters(ctx context.Context, r io.Reader, fn func(*record.DeadLetter) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxLetterLine)
	for lines.Scan() {
		if err := ctx.Err(); err != nil {
			return err
		}
		var line letterLine
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			continue // torn by a kill, see DeadLetterFile
		}
		letter := record.DeadLetter{Partition: line.Partition, Offset: line.Offset, Reason: line.Reason,
			Detail: line.Detail, At: line.At.UnixMicro(), Key: line.KeyBase64, Raw: line.RawBase64}
		if line.Key != "" {
			letter.Key = []byte(line.Key)
		}
		if line.Raw != "" {
			letter.Raw = []byte(line.Raw)
		}
		if err := fn(&letter); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading the dead letters: %w", err)
	}
	return nil
}

// Close implements connector.DeadLetters.
func (d *DeadLetterFile) Close() error { return d.f.Close() }
