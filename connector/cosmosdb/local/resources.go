package local

import (
	"encoding/json"
	"fmt"

	"millrace/connector/cosmosdb/local/store"
	"millrace/connector/cosmosdb/local/value"
)

// How databases, containers and offers look as JSON.

// appendSystem appends the system properties that every resource ends with,
// after other members, and what else follows; it does not close the object.
func appendSystem(dst []byte, rid, self, etag string, modified int64) []byte {
	dst = value.AppendString(append(dst, `,"_rid":`...), rid)
	dst = value.AppendString(append(dst, `,"_self":`...), self)
	dst = value.AppendString(append(dst, `,"_etag":`...), etag)
	return appendInt(append(dst, `,"_ts":`...), modified)
}

func appendDatabase(dst []byte, d *store.Database) []byte {
	dst = value.AppendString(append(dst, `{"id":`...), d.ID)
	dst = appendSystem(dst, d.RID, databaseSelf(d.RID), d.ETag, d.Modified.Unix())
	return append(dst, `,"_colls":"colls/","_users":"users/"}`...)
}

func databaseSelf(rid string) string { return "dbs/" + rid + "/" }

func containerSelf(databaseRID, rid string) string {
	return databaseSelf(databaseRID) + "colls/" + rid + "/"
}

// appendContainer appends the resource of a container whose settings are text:
// its members without the braces.
func appendContainer(dst, text []byte, databaseRID, rid, etag string, modified int64) []byte {
	dst = append(append(dst, '{'), text...)
	dst = appendSystem(dst, rid, containerSelf(databaseRID, rid), etag, modified)
	return append(dst, `,"_docs":"docs/","_sprocs":"sprocs/","_triggers":"triggers/","_udfs":"udfs/","_conflicts":"conflicts/"}`...)
}

// appendOffer appends an offer. resource is the _self of what it is for.
func appendOffer(dst []byte, o *store.Offer, resource string) []byte {
	dst = append(dst, `{"resource":`...)
	dst = append(value.AppendString(dst, resource), `,"offerType":"Invalid","offerResourceId":`...)
	dst = append(value.AppendString(dst, o.Resource), `,"offerVersion":"V2","content":{"offerThroughput":`...)
	dst = append(appendInt(dst, o.Throughput), `,"offerIsRUPerMinuteThroughputEnabled":false`...)
	if o.Max != 0 {
		dst = append(dst, `,"offerAutopilotSettings":{"tier":0,"maximumTierThroughput":`...)
		dst = append(appendInt(dst, o.Max), `,"autoUpgrade":false,"maxThroughput":`...)
		dst = append(appendInt(dst, o.Max), '}')
	}
	dst = value.AppendString(append(dst, `},"id":`...), o.RID)
	return append(appendSystem(dst, o.RID, "offers/"+o.RID+"/", o.ETag, o.Modified.Unix()), '}')
}

// properties turns checked settings into what the store keeps.
func (s *settings) properties() (store.Properties, error) {
	p := store.Properties{ID: s.ID, PartitionKey: s.PartitionKey, DefaultTTL: s.DefaultTTL}
	for _, k := range s.UniqueKeys.UniqueKeys {
		p.UniqueKeys = append(p.UniqueKeys, k.Paths)
	}
	var err error
	if p.Indexing, err = json.Marshal(&s.Indexing); err != nil {
		return p, fmt.Errorf("encoding the indexing policy of container %q: %w", s.ID, err)
	}
	others := map[string]any{"conflictResolutionPolicy": s.Conflicts, "geospatialConfig": s.Geospatial}
	for name, v := range s.others {
		others[name] = v
	}
	if p.Other, err = json.Marshal(others); err != nil {
		return p, fmt.Errorf("encoding the settings of container %q: %w", s.ID, err)
	}
	return p, nil
}

// settingsOf reads back what the store keeps of a container.
func settingsOf(p *store.Properties) (*settings, error) {
	s := &settings{ID: p.ID, PartitionKey: p.PartitionKey, DefaultTTL: p.DefaultTTL, hasKey: true, hasUnique: true, hasConflicts: true}
	s.UniqueKeys.UniqueKeys = []uniqueKey{}
	for _, paths := range p.UniqueKeys {
		s.UniqueKeys.UniqueKeys = append(s.UniqueKeys.UniqueKeys, uniqueKey{paths})
	}
	if len(p.Other) > 0 {
		if err := json.Unmarshal(p.Other, &s.others); err != nil {
			return nil, fmt.Errorf("decoding the settings of container %q: %w", p.ID, err)
		}
	}
	for name, v := range map[string]any{"conflictResolutionPolicy": &s.Conflicts, "geospatialConfig": &s.Geospatial} {
		if _, f := member(s.others, name, v); f != nil {
			return nil, fmt.Errorf("decoding the settings of container %q: %w", p.ID, f)
		}
	}
	var policy *indexingPolicy
	if len(p.Indexing) > 0 {
		if err := json.Unmarshal(p.Indexing, &policy); err != nil {
			return nil, fmt.Errorf("decoding the indexing policy of container %q: %w", p.ID, err)
		}
	}
	var f *failure
	if s.Indexing, f = completeIndexing(policy); f != nil {
		return nil, fmt.Errorf("decoding the indexing policy of container %q: %w", p.ID, f)
	}
	if f := s.complete(); f != nil {
		return nil, fmt.Errorf("decoding the settings of container %q: %w", p.ID, f)
	}
	return s, nil
}
