package local

import (
	"millrace/connector/cosmosdb/local/store"
	"millrace/connector/cosmosdb/local/value"
)

const (
	// maxBatchOps and maxBatchBytes bound a batch, as the service does.
	maxBatchOps   = 100
	maxBatchBytes = 2 << 20
)

// batchOp is one operation of a batch. Its texts are views of the request's
// body.
type batchOp struct {
	kind store.OpKind
	id   string
	// resource is the item to write, or the patch; undefined if there is none.
	resource value.Value
	// partitionKey is the JSON array that bulk operations carry; "" none.
	partitionKey         string
	ifMatch, ifNoneMatch string
}

// parseBatch reads the body of a batch into ops, which it appends to. The error
// is a *failure.
func parseBatch(ops []batchOp, body []byte) ([]batchOp, error) {
	if len(body) > maxBatchBytes {
		return nil, tooLarge()
	}
	all, err := value.Parse(body)
	if err != nil || all.Kind() != value.KindArray {
		return nil, invalidPayload("it is not a JSON array of operations")
	}
	var failed error
	all.EachElement(func(v value.Value) bool {
		if len(ops) == maxBatchOps {
			failed = badRequest("Batch request has more operations than what is supported: at most %d are.", maxBatchOps)
			return false
		}
		var op batchOp
		if failed = op.fill(v); failed != nil {
			return false
		}
		ops = append(ops, op)
		return true
	})
	switch {
	case failed != nil:
		return nil, failed
	case len(ops) == 0:
		return nil, invalidPayload("a batch needs one operation or more")
	}
	return ops, nil
}

// fill reads one operation.
func (op *batchOp) fill(v value.Value) error {
	if v.Kind() != value.KindObject {
		return invalidPayload("an operation of a batch is not a JSON object")
	}
	kind, known, bad := "", false, ""
	str := func(name string, v value.Value) (s string) {
		s, ok := v.AsString()
		if !ok && v.Kind() != value.KindNull {
			bad = name
		}
		return s
	}
	v.EachMember(func(name string, v value.Value) bool {
		switch name {
		case "operationType":
			kind = str(name, v)
			op.kind, known = batchKinds[kind]
		case "id":
			op.id = str(name, v)
		case "resourceBody":
			op.resource = v
		case "partitionKey":
			op.partitionKey = str(name, v)
		case "ifMatch":
			op.ifMatch = str(name, v)
		case "ifNoneMatch":
			op.ifNoneMatch = str(name, v)
		}
		return true
	})
	switch {
	case bad != "":
		return invalidPayload("the " + bad + " of an operation of a batch is not a string")
	case !known:
		return badRequest("Operation type %q of a batch is not known: it is Create, Upsert, Replace, Read, Delete or Patch.", kind)
	}
	return nil
}

var batchKinds = map[string]store.OpKind{
	"Create": store.OpCreate, "Upsert": store.OpUpsert, "Replace": store.OpReplace,
	"Read": store.OpRead, "Delete": store.OpDelete, "Patch": store.OpPatch,
}

func invalidPayload(why string) *failure {
	return badRequest("The request payload is invalid. Ensure to provide a valid request payload: %s.", why)
}
