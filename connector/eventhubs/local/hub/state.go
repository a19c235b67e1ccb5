package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"millrace/connector"
)

// state is what the state file holds: what the log cannot. It is small, and
// written whole at each change.
type state struct {
	Version    int                             `json:"version"`
	Namespaces map[string]map[string]*hubState `json:"namespaces"`
}

// hubState describes one hub. Its topic is written down so that another choice
// of the default namespace does not point the hub at another topic.
type hubState struct {
	Topic   string       `json:"topic"`
	Created time.Time    `json:"created"`
	Groups  []string     `json:"groups,omitempty"`
	Capture *CaptureSpec `json:"capture,omitempty"`
}

func (h *hubState) clone() *hubState {
	d := *h
	d.Groups = slices.Clone(h.Groups)
	d.Capture = h.Capture.clone()
	return &d
}

// hasGroup returns the group as it is written, whatever case is asked for.
func (h *hubState) hasGroup(name string) (string, bool) {
	if strings.EqualFold(name, DefaultGroup) {
		return DefaultGroup, true
	}
	for _, g := range h.Groups {
		if strings.EqualFold(name, g) {
			return g, true
		}
	}
	return "", false
}

const stateVersion = 1

func loadState(file string) (*state, error) {
	s := &state{Version: stateVersion, Namespaces: map[string]map[string]*hubState{}}
	if file == "" {
		return s, nil
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(data, s)
	}
	if err == nil && s.Version != stateVersion {
		err = fmt.Errorf("it has version %d, this program knows version %d", s.Version, stateVersion)
	}
	if err != nil {
		return nil, &connector.Hinted{Err: fmt.Errorf("reading the hubs' state file %s: %w", file, err),
			Hint: "repair or remove the file; without it, every topic is a hub with the group $Default"}
	}
	if s.Namespaces == nil {
		s.Namespaces = map[string]map[string]*hubState{}
	}
	for _, hubs := range s.Namespaces {
		for name, h := range hubs {
			if h == nil || h.Topic == "" {
				delete(hubs, name)
			}
		}
	}
	return s, nil
}

// save replaces the file. When it returns, the state survives a power cut.
func (s *state) save(file string) error {
	if file == "" {
		return nil
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		err = ReplaceFile(file, append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("writing the hubs' state file: %w", err)
	}
	return nil
}

// ReplaceFile replaces a file by another content, or leaves it as it was; when it
// returns nil, the content survives a power cut. One at a time may replace a file:
// what a killed process has begun is at file.new, which the next one takes.
func ReplaceFile(file string, data []byte) error {
	temp := file + ".new"
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, file); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
