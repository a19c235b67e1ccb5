package capture

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"millrace/connector/eventhubs/local/hub"
)

const stateVersion = 1

// state is how far the archive of a partition is. It is written whole, and is
// on disk before anything happens that relies on it.
type state struct {
	Version int `json:"version"`
	// Hub is the identity of the hub, so that one that is created again
	// under the same name begins anew.
	Hub string `json:"hub"`
	// Next is the sequence number behind the last event in the archive: the
	// first of the open window.
	Next int64 `json:"next"`
	// Start is when the open window began.
	Start time.Time `json:"start"`
	// Last is the second that the newest name shows, zero if there is none.
	Last time.Time `json:"last,omitzero"`
	// Paused says that Capture was switched off: events that come in until
	// it is switched on again are not archived.
	Paused bool `json:"paused,omitempty"`
	// Pending is the file that is being put into the bucket.
	Pending *pending `json:"pending,omitempty"`

	// Files, Events and Bytes count what was archived so far, LastName is
	// the name of the newest file.
	Files    int64  `json:"files"`
	Events   int64  `json:"events"`
	Bytes    int64  `json:"bytes"`
	LastName string `json:"lastName,omitempty"`
}

// pending is a file that is finished but maybe not put: it begins at
// state.Next, and is there if an object of that name has that hash.
type pending struct {
	Container string `json:"container"`
	Name      string `json:"name"`
	// Named is the second that the name shows.
	Named  time.Time `json:"named"`
	Format string    `json:"format"`
	Codec  string    `json:"codec"`
	// To is the sequence number behind its last event, NextStart when the
	// next window begins.
	To        int64     `json:"to"`
	NextStart time.Time `json:"nextStart"`
	Events    int64     `json:"events"`
	Size      int64     `json:"size"`
	Hash      uint64    `json:"hash,string"`
}

// stateStore keeps the state of one partition.
type stateStore interface {
	// load returns the state, nil if there is none.
	load() (*state, error)
	// save replaces it; it survives a power cut when save returns.
	save(s *state) error
}

// stateFile keeps it in a file.
type stateFile string

func (f stateFile) load() (*state, error) {
	data, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the state of Capture: %w", err)
	}
	s := &state{}
	if err = json.Unmarshal(data, s); err == nil && s.Version != stateVersion {
		err = fmt.Errorf("it has version %d, this program knows version %d", s.Version, stateVersion)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the state of Capture in %s: %w", string(f), err)
	}
	return s, nil
}

func (f stateFile) save(s *state) error {
	s.Version = stateVersion
	data, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		err = hub.ReplaceFile(string(f), append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("writing the state of Capture to %s: %w", string(f), err)
	}
	return nil
}
