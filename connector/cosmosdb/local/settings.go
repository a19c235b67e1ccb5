package local

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"millrace/connector/cosmosdb/local/partition"
	"millrace/connector/cosmosdb/local/value"
)

// settings are what a client may say of a container, checked and completed as
// the service does.
type settings struct {
	ID           string
	PartitionKey partition.Definition
	Indexing     indexingPolicy
	UniqueKeys   uniqueKeyPolicy
	// DefaultTTL is in seconds, -1 for never by default, nil for off.
	DefaultTTL *int
	Conflicts  conflictPolicy
	Geospatial geospatialConfig
	// others are the settings that mean nothing here; they are kept and
	// shown as they were given.
	others map[string]json.RawMessage
	// hasKey, hasUnique and hasConflicts tell whether the client gave these.
	hasKey, hasUnique, hasConflicts bool
}

type uniqueKeyPolicy struct {
	UniqueKeys []uniqueKey `json:"uniqueKeys"`
}

type uniqueKey struct {
	Paths []string `json:"paths"`
}

type conflictPolicy struct {
	Mode      string `json:"mode"`
	Path      string `json:"conflictResolutionPath"`
	Procedure string `json:"conflictResolutionProcedure"`
}

type geospatialConfig struct {
	Type string `json:"type"`
}

const (
	maxIDLength   = 255
	maxUniqueKeys = 10
	maxUniquePath = 16
)

// checkID tells what is wrong with the id of a database or container.
func checkID(id string) *failure {
	switch {
	case id == "" || utf8.RuneCountInString(id) > maxIDLength || len(id) > 4*maxIDLength:
		return badRequest("The input name '%s' is invalid. Ensure to provide a unique non-empty string less than '%d' characters.", clip(id), maxIDLength+1)
	case !utf8.ValidString(id):
		return badRequest("The input name is invalid: it is not UTF-8.")
	case strings.ContainsAny(id, `/\?#`):
		return badRequest("The input name '%s' is invalid. It contains one of the characters / \\ ? #.", clip(id))
	case strings.HasSuffix(id, " "):
		return badRequest("The input name '%s' is invalid. It ends with a space.", clip(id))
	case strings.ContainsFunc(id, func(r rune) bool { return r < ' ' }):
		return badRequest("The input name is invalid. It contains a control character.")
	}
	return nil
}

// clip cuts a text that goes into a message.
func clip(s string) string {
	if len(s) <= 100 {
		return s
	}
	return strings.ToValidUTF8(s[:100], "") + "..."
}

// parseObject reads a body that must be a JSON object.
func parseObject(body []byte) (map[string]json.RawMessage, *failure) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return nil, badRequest("The input content is invalid because the required properties - 'id; ' - are missing, or it is not a JSON object.")
	}
	return members, nil
}

// member reads a property into v; null counts as absent. It reports whether it
// is there.
func member(members map[string]json.RawMessage, name string, v any) (bool, *failure) {
	raw, ok := members[name]
	delete(members, name)
	if !ok || bytes.Equal(raw, []byte("null")) {
		return false, nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return false, badRequest("The value of the property '%s' is invalid: it is not of the type that it must have.", name)
	}
	return true, nil
}

// parseSettings reads the body of a request that creates or replaces a
// container.
func parseSettings(body []byte) (*settings, *failure) {
	members, f := parseObject(body)
	if f != nil {
		return nil, f
	}
	s := &settings{others: members}
	var policy *indexingPolicy
	for _, m := range []struct {
		name string
		v    any
		has  *bool
	}{
		{"id", &s.ID, nil}, {"partitionKey", &s.PartitionKey, &s.hasKey}, {"indexingPolicy", &policy, nil},
		{"uniqueKeyPolicy", &s.UniqueKeys, &s.hasUnique}, {"defaultTtl", &s.DefaultTTL, nil},
		{"conflictResolutionPolicy", &s.Conflicts, &s.hasConflicts}, {"geospatialConfig", &s.Geospatial, nil},
	} {
		has, f := member(members, m.name, m.v)
		if f != nil {
			return nil, f
		}
		if m.has != nil {
			*m.has = has
		}
	}
	// What the service adds itself comes back when a client replaces what it
	// has read.
	maps.DeleteFunc(members, func(name string, _ json.RawMessage) bool { return strings.HasPrefix(name, "_") })
	if f := checkID(s.ID); f != nil {
		return nil, f
	}
	s.Indexing, f = completeIndexing(policy)
	if f == nil {
		f = s.complete()
	}
	return s, f
}

// complete fills in defaults, and checks everything but the id, the partition
// key and the indexing policy.
func (s *settings) complete() *failure {
	if s.hasKey {
		if s.PartitionKey.Kind == "" {
			s.PartitionKey.Kind = partition.Hash
		}
		if s.PartitionKey.Version == 0 {
			s.PartitionKey.Version = 2
		}
		if err := s.PartitionKey.Validate(); err != nil {
			return badRequest("The partition key definition is invalid: %s", err)
		}
	}
	if s.DefaultTTL != nil && (*s.DefaultTTL == 0 || *s.DefaultTTL < -1 || *s.DefaultTTL > math.MaxInt32) {
		return badRequest("The value of the property 'defaultTtl' is invalid. It is -1, or a number of seconds between 1 and %d.", math.MaxInt32)
	}
	if f := s.UniqueKeys.check(); f != nil {
		return f
	}
	switch {
	case s.Geospatial.Type == "":
		s.Geospatial.Type = "Geography"
	case s.Geospatial.Type != "Geography" && s.Geospatial.Type != "Geometry":
		return badRequest("The value of the property 'type' in 'geospatialConfig' is invalid. It is Geography or Geometry.")
	}
	switch c := &s.Conflicts; {
	case c.Mode == "" || strings.EqualFold(c.Mode, "LastWriterWins"):
		c.Mode = "LastWriterWins"
		if c.Path == "" {
			c.Path = "/_ts"
		}
	case strings.EqualFold(c.Mode, "Custom"):
		c.Mode = "Custom"
	default:
		return badRequest("The value of the property 'mode' in 'conflictResolutionPolicy' is invalid. It is LastWriterWins or Custom.")
	}
	return nil
}

func (p *uniqueKeyPolicy) check() *failure {
	if p.UniqueKeys == nil {
		p.UniqueKeys = []uniqueKey{}
	}
	if len(p.UniqueKeys) > maxUniqueKeys {
		return badRequest("The number of unique keys is %d; at most %d are possible.", len(p.UniqueKeys), maxUniqueKeys)
	}
	for _, k := range p.UniqueKeys {
		if len(k.Paths) == 0 || len(k.Paths) > maxUniquePath {
			return badRequest("A unique key has between 1 and %d paths; one has %d.", maxUniquePath, len(k.Paths))
		}
		for i, path := range k.Paths {
			if _, err := partition.SplitPath(path); err != nil {
				return badRequest("The unique key path '%s' is invalid: %s", clip(path), err)
			}
			if slices.Contains(k.Paths[:i], path) {
				return badRequest("The unique key path '%s' is there twice.", clip(path))
			}
		}
	}
	return nil
}

// checkReplacement tells what may not change when s takes the place of old, and
// takes over from old what s leaves out.
func (s *settings) checkReplacement(old *settings) *failure {
	if s.ID != old.ID {
		return badRequest("The id of a container cannot be changed; the path names another one than the body.")
	}
	if !s.hasKey {
		s.PartitionKey, s.hasKey = old.PartitionKey, true
	}
	if !reflect.DeepEqual(s.PartitionKey, old.PartitionKey) {
		return badRequest("Document collection partition key cannot be changed.")
	}
	if !s.hasUnique {
		s.UniqueKeys = old.UniqueKeys
	}
	if !reflect.DeepEqual(s.UniqueKeys, old.UniqueKeys) {
		return badRequest("The unique key policy of a container cannot be changed.")
	}
	if !s.hasConflicts {
		s.Conflicts = old.Conflicts
	}
	return nil
}

// appendJSON appends the settings as JSON members without the braces, as the
// resource shows them.
func (s *settings) appendJSON(dst []byte) ([]byte, error) {
	type named struct {
		name string
		v    any
	}
	all := []named{{"id", s.ID}, {"indexingPolicy", &s.Indexing}, {"partitionKey", s.PartitionKey}}
	if s.DefaultTTL != nil {
		all = append(all, named{"defaultTtl", *s.DefaultTTL})
	}
	all = append(all, named{"uniqueKeyPolicy", s.UniqueKeys}, named{"conflictResolutionPolicy", s.Conflicts},
		named{"geospatialConfig", s.Geospatial})
	for _, name := range slices.Sorted(maps.Keys(s.others)) {
		all = append(all, named{name, s.others[name]})
	}
	for i, m := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(value.AppendString(dst, m.name), ':')
		text, err := json.Marshal(m.v)
		if err != nil {
			return nil, err
		}
		dst = append(dst, text...)
	}
	return dst, nil
}
