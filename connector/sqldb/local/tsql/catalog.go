package tsql

import (
	"slices"
	"strings"
	"sync"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// database is a catalogue of schemas. Its maps change under the exclusive
// lock of the database (package locks) and mu, which only Engine.Rows and
// object ids need beside.
type database struct {
	name    string
	mu      sync.RWMutex
	schemas map[string]*schema
	// functions and schemes of partitions change nothing here but that they
	// must exist.
	functions map[string]*partitionFunction
	schemes   map[string]*partitionScheme
	nextID    int32
}

type schema struct {
	name    string
	id      int32
	objects map[string]object
	types   map[string]*table // table types: tables without rows
}

// object is what can stand in sys.objects: a table, a view, a procedure.
type object interface{ common() *objectInfo }

type objectInfo struct {
	name   string
	schema *schema
	id     int32
	kind   string // as in sys.objects: U, V, P, TT
}

func (o *objectInfo) common() *objectInfo { return o }

// full is the name with its schema, as messages show it.
func (o *objectInfo) full() string {
	if o.schema == nil {
		return o.name
	}
	return o.schema.name + "." + o.name
}

type view struct {
	objectInfo
	columns []*ast.Identifier
	text    string
	query   *ast.SelectStatement
}

type procedure struct {
	objectInfo
	params []*ast.ProcedureParameter
	body   []ast.Statement
	text   string
}

type partitionFunction struct {
	name   string
	id     int32
	typ    value.Type
	right  bool
	bounds []value.Value
}

type partitionScheme struct {
	name     string
	id       int32
	function *partitionFunction
}

func newDatabase(name string) *database {
	db := &database{name: name, schemas: make(map[string]*schema), nextID: 1_000_000,
		functions: make(map[string]*partitionFunction), schemes: make(map[string]*partitionScheme)}
	for id, n := range []string{"dbo", "guest", "INFORMATION_SCHEMA", "sys"} {
		db.schemas[strings.ToLower(n)] = newSchema(n, int32(id+1))
	}
	return db
}

func newSchema(name string, id int32) *schema {
	return &schema{name: name, id: id, objects: make(map[string]object), types: make(map[string]*table)}
}

func (db *database) newID() int32 {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.nextID += 16
	return db.nextID
}

// find returns an object, nil if there is none.
func (db *database) find(schema, name string) object {
	s := db.schemas[strings.ToLower(schema)]
	if s == nil {
		return nil
	}
	return s.objects[strings.ToLower(name)]
}

// put and remove change the catalogue; whoever calls them holds the lock and
// notes how to undo it.
func (db *database) put(o object) {
	db.mu.Lock()
	defer db.mu.Unlock()
	i := o.common()
	i.schema.objects[strings.ToLower(i.name)] = o
}

func (db *database) remove(o object) {
	db.mu.Lock()
	defer db.mu.Unlock()
	i := o.common()
	delete(i.schema.objects, strings.ToLower(i.name))
}

// objects are all objects of a kind ("" for all), by id.
func (db *database) objects(kind string) []object {
	var out []object
	for _, s := range db.schemas {
		for _, o := range s.objects {
			if kind == "" || o.common().kind == kind {
				out = append(out, o)
			}
		}
	}
	slices.SortFunc(out, func(a, b object) int { return int(a.common().id) - int(b.common().id) })
	return out
}
