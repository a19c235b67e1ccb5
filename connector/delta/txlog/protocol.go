package txlog

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"millrace/connector/delta/schema"
)

// newProtocol is that of tables that Create makes: every reader and writer
// there is knows it.
var newProtocol = Protocol{MinReader: 1, MinWriter: 2}

// A feature is looked at by what it does to this very table: many tables carry
// one that is not in use, as writers of version 7 have to list what the
// versions before implied.
type feature struct {
	// read and write say why the table cannot be read or written because
	// of it, or "". A nil function means that the feature is no obstacle.
	read, write func(m *Metadata) string
}

// inUse makes a reason of a property.
func inUse(key, why string) func(*Metadata) string {
	return func(m *Metadata) string {
		if m.flag(key, false) {
			return why
		}
		return ""
	}
}

func always(why string) func(*Metadata) string { return func(*Metadata) string { return why } }

func columnMapping(m *Metadata) string {
	if mode := m.Configuration["delta.columnMapping.mode"]; mode != "" && !strings.EqualFold(mode, "none") {
		return "its columns are mapped (delta.columnMapping.mode=" + mode + "), which is not supported"
	}
	return ""
}

// marked makes a reason of a mark in a column's metadata.
func marked(prefix, why string) func(*Metadata) string {
	return func(m *Metadata) (reason string) {
		m.Schema.Each(func(path []string, f schema.Field) {
			for key := range f.Metadata {
				if strings.HasPrefix(key, prefix) {
					reason = "column " + strings.Join(path, ".") + " " + why
				}
			}
		})
		return reason
	}
}

func constraints(m *Metadata) string {
	first := ""
	for key := range m.Configuration {
		if name, ok := strings.CutPrefix(key, "delta.constraints."); ok && (first == "" || name < first) {
			first = name
		}
	}
	if first == "" {
		return ""
	}
	return "it has a CHECK constraint (" + first + "), and checking those is not supported"
}

var (
	invariants  = marked("delta.invariants", "has an invariant, and checking those is not supported")
	generated   = marked("delta.generationExpression", "is generated, which is not supported")
	identity    = marked("delta.identity.", "is an identity column, which is not supported")
	defaults    = marked("CURRENT_DEFAULT", "has a default value, which is not supported")
	widened     = marked("delta.typeChanges", "has changed its type, which is not supported")
	changeFeed  = inUse("delta.enableChangeDataFeed", "it records a change data feed (delta.enableChangeDataFeed), which is not supported")
	rowTracking = inUse("delta.enableRowTracking", "it tracks rows (delta.enableRowTracking), which is not supported")
	commitTimes = inUse("delta.enableInCommitTimestamps", "its commits carry their own times (delta.enableInCommitTimestamps), which is not supported")
)

// features are those that are known. Which of them a table has is in its
// protocol; those missing here are refused.
var features = map[string]feature{
	"appendOnly":          {},
	"invariants":          {write: invariants},
	"checkConstraints":    {write: constraints},
	"changeDataFeed":      {write: changeFeed},
	"generatedColumns":    {write: generated},
	"identityColumns":     {write: identity},
	"allowColumnDefaults": {write: defaults},
	"domainMetadata":      {},
	"vacuumProtocolCheck": {},
	"inCommitTimestamp":   {write: commitTimes},
	"columnMapping":       {read: columnMapping, write: columnMapping},
	// A table is refused as soon as a file of it has a vector.
	"deletionVectors": {},
	// Columns of types that are not known are refused by their type.
	"timestampNtz":             {},
	"variantType":              {},
	"variantType-preview":      {},
	"variantShredding-preview": {},
	"typeWidening":             {read: widened, write: widened},
	"typeWidening-preview":     {read: widened, write: widened},
	// Rows need numbers as soon as the feature is there.
	"rowTracking": {write: always("it tracks rows (feature rowTracking), which is not supported")},
}

// impliedByWriter are the features that writers of versions below 7 imply.
var impliedByWriter = []struct {
	from  int
	names []string
}{
	{2, []string{"appendOnly", "invariants"}},
	{3, []string{"checkConstraints"}},
	{4, []string{"changeDataFeed", "generatedColumns"}},
	{5, []string{"columnMapping"}},
	{6, []string{"identityColumns"}},
}

// Has tells whether the protocol lists the table feature.
func (p Protocol) Has(feature string) bool {
	return slices.Contains(p.readers(), feature) || slices.Contains(p.writers(), feature)
}

// readers returns the features a reader has to know.
func (p Protocol) readers() []string {
	switch {
	case p.MinReader >= 3:
		return p.ReaderFeatures
	case p.MinReader == 2:
		return []string{"columnMapping"}
	}
	return nil
}

// writers returns the features a writer has to know.
func (p Protocol) writers() []string {
	if p.MinWriter >= 7 {
		return p.WriterFeatures
	}
	var out []string
	for _, i := range impliedByWriter {
		if p.MinWriter >= i.from {
			out = append(out, i.names...)
		}
	}
	return out
}

// cannotRead says why a table with this protocol cannot be read, "" if it can.
func cannotRead(p Protocol, m *Metadata) string {
	if p.MinReader < 1 || p.MinReader > 3 {
		return fmt.Sprintf("it needs readers of protocol version %d, and this one knows 1 to 3", p.MinReader)
	}
	why := ""
	m.Schema.Each(func(path []string, f schema.Field) {
		if strings.Contains(f.Type.String(), string(schema.TimestampNTZ)) {
			why = "column " + strings.Join(path, ".") + " is of type " + f.Type.String() + ", a time without a zone, which is not supported"
		}
	})
	if why != "" {
		return why
	}
	for _, name := range p.readers() {
		f, ok := features[name]
		if !ok {
			return "it has the table feature " + name + ", which is not supported"
		}
		if f.read != nil {
			if why := f.read(m); why != "" {
				return why
			}
		}
	}
	return ""
}

// cannotWrite says why nothing can be written to such a table, "" if it can.
// That it can be read is known already.
func cannotWrite(p Protocol, m *Metadata) string {
	if p.MinWriter < 1 || p.MinWriter > 7 {
		return fmt.Sprintf("it needs writers of protocol version %d, and this one knows 1 to 7", p.MinWriter)
	}
	for _, name := range p.writers() {
		f, ok := features[name]
		if !ok {
			return "it has the table feature " + name + ", which is not supported"
		}
		if f.write != nil {
			if why := f.write(m); why != "" {
				return why
			}
		}
	}
	// Properties that take effect only with a feature are believed even
	// where the feature is not listed: some writers forget to.
	for _, check := range []func(*Metadata) string{changeFeed, rowTracking, columnMapping, constraints} {
		if why := check(m); why != "" {
			return why
		}
	}
	return ""
}

// checkProtocol returns an error unless the protocol is well formed.
func checkProtocol(p Protocol) error {
	switch {
	case p.MinReader < 1 || p.MinWriter < 1:
		return fmt.Errorf("the protocol action has the versions %d and %d", p.MinReader, p.MinWriter)
	case p.MinReader >= 3 && p.MinWriter < 7:
		return errors.New("the protocol action has table features for readers, but not for writers")
	}
	return nil
}

// sortedKeys is for texts that must be the same each time.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
