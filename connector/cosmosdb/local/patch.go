package local

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"millrace/connector/cosmosdb/local/partition"
	"millrace/connector/cosmosdb/local/query"
	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/store"
	"millrace/connector/cosmosdb/local/value"
)

// maxPatchOps bounds a patch, as the service does.
const maxPatchOps = 10

// patchSpec is a patch as the client sends it. Its values are views of the
// request's body.
type patchSpec struct {
	edits []patchEdit
	// condition is what the stored item must match; nil: none.
	condition *query.Plan
}

// patchEdit is one operation of a patch.
type patchEdit struct {
	op, path, from string
	value          value.Value
}

// patch answers a PATCH.
func (c *call) patch() error {
	key, id, err := c.address()
	if err != nil {
		return err
	}
	doc, err := value.Parse(c.body)
	if err != nil {
		return invalidPayload(err.Error())
	}
	p, err := parsePatch(doc, c.definition())
	if err != nil {
		return err
	}
	return c.single(key, store.Op{Kind: store.OpPatch, ID: id, Mutate: p.mutate(c), IfMatch: c.in.ifMatch, IfNoneMatch: c.in.ifNoneMatch,
		NoBody: c.in.minimal})
}

// parsePatch reads {"operations":[...],"condition":"..."}; bulk requests of some
// clients have the operations alone. The error is a *failure.
func parsePatch(doc value.Value, def partition.Definition) (*patchSpec, error) {
	operations := doc
	p := new(patchSpec)
	if doc.Kind() == value.KindObject {
		operations = doc.Get("operations")
		if err := p.setCondition(doc.Get("condition")); err != nil {
			return nil, err
		}
	}
	if operations.Kind() != value.KindArray {
		return nil, invalidPatch("it is not like {\"operations\":[...]}")
	}
	var failed error
	operations.EachElement(func(v value.Value) bool {
		if len(p.edits) == maxPatchOps {
			failed = badRequest("The number of patch operations can't exceed '%d'.", maxPatchOps)
			return false
		}
		var e patchEdit
		if e, failed = parsePatchEdit(v, def); failed == nil {
			p.edits = append(p.edits, e)
		}
		return failed == nil
	})
	switch {
	case failed != nil:
		return nil, failed
	case len(p.edits) == 0:
		return nil, invalidPatch("it has no operations")
	}
	return p, nil
}

// setCondition reads "FROM c WHERE ...".
func (p *patchSpec) setCondition(v value.Value) error {
	if v.IsUndefined() || v.Kind() == value.KindNull {
		return nil
	}
	text, ok := v.AsString()
	if !ok {
		return invalidPatch("its condition is not a string")
	}
	q, err := sql.ParseCondition(text)
	if err == nil {
		p.condition, err = query.Compile(q, query.Options{MaxItems: 1})
	}
	return queryFailure(err)
}

func parsePatchEdit(v value.Value, def partition.Definition) (e patchEdit, err error) {
	if v.Kind() != value.KindObject {
		return e, invalidPatch("an operation is not a JSON object")
	}
	wrong := ""
	text := func(name string) string {
		member := v.Get(name)
		s, ok := member.AsString()
		if !ok && !member.IsUndefined() && member.Kind() != value.KindNull {
			wrong = name
		}
		return s
	}
	e = patchEdit{op: text("op"), path: text("path"), from: text("from"), value: v.Get("value")}
	if wrong != "" {
		return e, invalidPatch("the " + wrong + " of an operation is not a string")
	}
	switch e.op {
	case "add", "set", "replace", "incr":
		if e.value.IsUndefined() {
			return e, invalidPatch("the operation " + e.op + " on " + clip(e.path) + " has no value")
		}
	case "remove":
	case "move":
		if err := checkPatchPath(e.from, def); err != nil {
			return e, err
		}
	default:
		return e, invalidPatch("there is no operation '" + clip(e.op) + "': they are add, set, replace, remove, incr and move")
	}
	return e, checkPatchPath(e.path, def)
}

// checkPatchPath refuses paths that lead nowhere or to what cannot change.
func checkPatchPath(path string, def partition.Definition) error {
	if len(path) < 2 || path[0] != '/' {
		return invalidPatch("the path '" + clip(path) + "' is not like /a/b")
	}
	steps := strings.Split(path[1:], "/")
	for i := range steps {
		steps[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(steps[i])
	}
	switch steps[0] {
	case "id", "_rid", "_self", "_etag", "_ts", "_attachments":
		return invalidPatch("'" + steps[0] + "' cannot be changed")
	}
	for _, p := range def.Paths {
		names, err := partition.SplitPath(p)
		if err != nil {
			continue // no container has such a definition
		}
		n := min(len(names), len(steps))
		if slices.Equal(names[:n], steps[:n]) {
			return invalidPatch("the partition key '" + p + "' cannot be changed")
		}
	}
	return nil
}

func invalidPatch(why string) *failure {
	return badRequest("Invalid patch request: %s.", why)
}

// mutate is the patch as the store does it: to the item as it is when nobody
// else can change it.
func (p *patchSpec) mutate(c *call) func(old []byte) ([]byte, error) {
	return func(old []byte) ([]byte, error) {
		if p.condition != nil {
			page, err := p.condition.Run(c.ctx, memorySource{old})
			if err != nil {
				return nil, queryFailure(err)
			}
			if len(page.Items) == 0 {
				return nil, preconditionFailed()
			}
		}
		doc := old
		for i, e := range p.edits {
			var err error
			if doc, err = e.apply(doc); err != nil {
				var wrong *value.PatchError
				if errors.As(err, &wrong) {
					return nil, badRequest("For Operation(%d): %s", i+1, wrong.Message)
				}
				return nil, err
			}
		}
		if len(doc) > maxItem {
			return nil, &failure{status: http.StatusRequestEntityTooLarge, message: "The item would be too large after the patch."}
		}
		if _, err := checkItem(value.Trusted(doc)); err != nil {
			return nil, err
		}
		return doc, nil
	}
}

func (e *patchEdit) apply(doc []byte) ([]byte, error) {
	switch e.op {
	case "add":
		return value.Add(doc, e.path, e.value)
	case "set":
		return value.Set(doc, e.path, e.value)
	case "replace":
		return value.Replace(doc, e.path, e.value)
	case "incr":
		return value.Increment(doc, e.path, e.value)
	case "move":
		return value.Move(doc, e.from, e.path)
	default:
		return value.Remove(doc, e.path)
	}
}
