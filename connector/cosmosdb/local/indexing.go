package local

import (
	"encoding/json"
	"slices"
	"strings"
)

// indexingPolicy is the indexing policy of a container. Composite and spatial
// indexes are kept and shown; queries do not need them here.
type indexingPolicy struct {
	Mode      string          `json:"indexingMode"`
	Automatic bool            `json:"automatic"`
	Included  []indexPath     `json:"includedPaths"`
	Excluded  []indexPath     `json:"excludedPaths"`
	Composite [][]orderedPath `json:"compositeIndexes,omitempty"`
	Spatial   json.RawMessage `json:"spatialIndexes,omitempty"`
	Vector    json.RawMessage `json:"vectorIndexes,omitempty"`
	FullText  json.RawMessage `json:"fullTextIndexes,omitempty"`
}

// indexPath is a path of a policy. The kinds and precisions that old clients
// give with it have had no meaning for long, and are dropped.
type indexPath struct {
	Path string `json:"path"`
}

type orderedPath struct {
	Path  string `json:"path"`
	Order string `json:"order"`
}

// UnmarshalJSON reads a policy. What a client leaves out is not what false and
// empty mean, so this needs care: automatic is true if it is not there.
func (p *indexingPolicy) UnmarshalJSON(text []byte) error {
	type plain indexingPolicy
	v := plain{Automatic: true}
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	*p = indexingPolicy(v)
	return nil
}

const (
	rootPath = "/*"
	etagPath = `/"_etag"/?`
)

// completeIndexing checks a policy and fills in what it leaves out; nil is the
// default policy.
func completeIndexing(p *indexingPolicy) (indexingPolicy, *failure) {
	if p == nil {
		p = &indexingPolicy{Automatic: true}
	}
	q := *p
	if q.Composite == nil && q.Spatial == nil && q.Included == nil && q.Excluded == nil && q.Mode == "" && !q.Automatic {
		return q, badRequest("The indexing policy is invalid: without automatic indexing, its mode must be none.")
	}
	switch strings.ToLower(q.Mode) {
	case "", "consistent":
		q.Mode = "consistent"
	case "lazy":
		// The service has no lazy indexing any more and takes it so.
		q.Mode = "consistent"
	case "none":
		return q.none()
	default:
		return q, badRequest("The indexing mode '%s' is invalid. It is consistent or none.", clip(q.Mode))
	}
	if !q.Automatic {
		return q, badRequest("Automatic indexing cannot be switched off with the indexing mode consistent; use the mode none.")
	}
	for _, paths := range [][]indexPath{q.Included, q.Excluded} {
		for _, path := range paths {
			if f := checkIndexPath(path.Path); f != nil {
				return q, f
			}
		}
	}
	if f := q.checkComposite(); f != nil {
		return q, f
	}
	if len(q.Included) == 0 && !hasPath(q.Excluded, rootPath) {
		q.Included = []indexPath{{rootPath}}
	}
	if f := q.checkSets(); f != nil {
		return q, f
	}
	if q.Included == nil {
		q.Included = []indexPath{}
	}
	if !hasPath(q.Excluded, etagPath) && !hasPath(q.Included, etagPath) && !hasPath(q.Excluded, "/_etag/?") {
		q.Excluded = append(slices.Clone(q.Excluded), indexPath{etagPath})
	}
	return q, nil
}

func (p *indexingPolicy) none() (indexingPolicy, *failure) {
	if len(p.Included) > 0 && !(len(p.Included) == 1 && p.Included[0].Path == rootPath) {
		return *p, badRequest("The indexing mode none allows no included paths.")
	}
	return indexingPolicy{Mode: "none", Included: []indexPath{}, Excluded: []indexPath{}}, nil
}

func hasPath(paths []indexPath, path string) bool {
	return slices.ContainsFunc(paths, func(p indexPath) bool { return p.Path == path })
}

// checkSets tells whether the root is in one of both sets, and no path in both
// or twice.
func (p *indexingPolicy) checkSets() *failure {
	if !hasPath(p.Included, rootPath) && !hasPath(p.Excluded, rootPath) {
		return badRequest(`The special mandatory indexing path "\/" is not provided in any of the path type sets. Please provide this path in one of the sets.`)
	}
	seen := map[string]bool{}
	for _, path := range slices.Concat(p.Included, p.Excluded) {
		if seen[path.Path] {
			return badRequest("The indexing path '%s' is there twice.", clip(path.Path))
		}
		seen[path.Path] = true
	}
	return nil
}

func (p *indexingPolicy) checkComposite() *failure {
	for _, index := range p.Composite {
		if len(index) < 2 || len(index) > 8 {
			return badRequest("A composite index has between 2 and 8 paths; one has %d.", len(index))
		}
		for i := range index {
			if index[i].Order == "" {
				index[i].Order = "ascending"
			}
			if index[i].Order != "ascending" && index[i].Order != "descending" {
				return badRequest("The order '%s' in a composite index is invalid. It is ascending or descending.", clip(index[i].Order))
			}
			if _, ok := indexSteps(index[i].Path); !ok {
				return badIndexPath(index[i].Path)
			}
		}
	}
	return nil
}

func badIndexPath(path string) *failure {
	return badRequest("The indexing path '%s' could not be accepted. Please ensure that the path is a valid path. "+
		"Common errors include invalid characters or absence of quotes around labels.", clip(path))
}

// checkIndexPath takes "/*", and paths that end in /? or /*.
func checkIndexPath(path string) *failure {
	steps, ok := strings.CutSuffix(path, "/*")
	if !ok {
		if steps, ok = strings.CutSuffix(path, "/?"); !ok || steps == "" {
			return badIndexPath(path)
		}
	}
	if steps == "" {
		return nil
	}
	if _, ok := indexSteps(steps); !ok {
		return badIndexPath(path)
	}
	return nil
}

// indexSteps splits /a/"b c"/[]: names may be quoted, [] is any element.
func indexSteps(path string) (steps []string, ok bool) {
	for rest := path; rest != ""; {
		if rest[0] != '/' || len(rest) < 2 {
			return nil, false
		}
		rest = rest[1:]
		end := strings.IndexByte(rest, '/')
		if rest[0] == '"' {
			closing := strings.IndexByte(rest[1:], '"')
			if closing < 1 {
				return nil, false
			}
			end = closing + 2
			if end < len(rest) && rest[end] != '/' {
				return nil, false
			}
		}
		if end < 0 {
			end = len(rest)
		}
		step := rest[:end]
		if step == "" || step[0] != '"' && strings.ContainsAny(step, `?*"' #`) {
			return nil, false
		}
		steps, rest = append(steps, step), rest[end:]
	}
	return steps, len(steps) > 0
}
