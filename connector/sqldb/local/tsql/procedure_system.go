package tsql

import (
	"strings"
	"time"

	"millrace/connector/sqldb/local/value"
)

// systemProcedure finds one of those that are there without being created. It is
// no table, since they run texts that may call them.
func systemProcedure(name string) func(x *execution, args []Argument) (int32, error) {
	switch name {
	case "sp_executesql":
		return executeSQL
	case "sp_getapplock":
		return getAppLock
	case "sp_releaseapplock":
		return releaseAppLock
	case "sp_prepexec":
		return prepareAndExecute
	case "sp_prepare":
		return prepare
	case "sp_execute":
		return executePrepared
	case "sp_unprepare":
		return unprepare
	case "sp_reset_connection":
		return func(x *execution, _ []Argument) (int32, error) { x.s.Reset(false); return 0, nil }
	}
	return nil
}

// arguments gives the arguments of a system procedure by name.
func arguments(args []Argument, names ...string) (map[string]*Argument, error) {
	out := make(map[string]*Argument)
	for i := range args {
		name := strings.ToLower(strings.TrimPrefix(args[i].Name, "@"))
		if name == "" {
			if i >= len(names) {
				return nil, value.Errorf(8144, "Procedure or function has too many arguments specified.")
			}
			name = names[i]
		}
		out[name] = &args[i]
	}
	return out, nil
}

func text(a *Argument) string {
	if a == nil {
		return ""
	}
	return a.Value.Text()
}

func executeSQL(x *execution, args []Argument) (int32, error) {
	if len(args) == 0 {
		return 0, value.Errorf(201, "Procedure or function 'sp_executesql' expects parameter '@statement', which was not supplied.")
	}
	declarations, rest := "", []Argument(nil)
	if len(args) > 1 {
		declarations, rest = args[1].Value.Text(), args[2:]
	}
	if !args[0].Type.ID.Text() {
		return 0, value.Errorf(214, "Procedure expects parameter '@statement' of type 'ntext/nchar/nvarchar'.")
	}
	return x.text(args[0].Value.Text(), declarations, rest)
}

// preparedCall is a statement that a client has prepared.
type preparedCall struct{ text, declarations string }

// maxPrepared bounds the statements that a session keeps prepared.
const maxPrepared = 4096

func (s *Session) prepare(text, declarations string) (int64, error) {
	if len(s.prepared) >= maxPrepared {
		return 0, unsupported("more than %d prepared statements", maxPrepared)
	}
	s.handles++
	s.prepared[s.handles] = preparedCall{text, declarations}
	return s.handles, nil
}

func prepareAndExecute(x *execution, args []Argument) (int32, error) {
	if len(args) < 3 {
		return 0, value.Errorf(201, "Procedure or function 'sp_prepexec' expects more parameters.")
	}
	status, err := prepare(x, args[:3])
	if err != nil {
		return status, err
	}
	return x.text(args[2].Value.Text(), args[1].Value.Text(), args[3:])
}

// prepare takes a handle to return, the declarations and the text.
func prepare(x *execution, args []Argument) (int32, error) {
	if len(args) < 3 {
		return 0, value.Errorf(201, "Procedure or function 'sp_prepare' expects more parameters.")
	}
	handle, err := x.s.prepare(args[2].Value.Text(), args[1].Value.Text())
	if err == nil && args[0].back != nil {
		err = args[0].back(value.FromInt(handle), intType)
	}
	return 0, err
}

func executePrepared(x *execution, args []Argument) (int32, error) {
	if len(args) == 0 {
		return 0, value.Errorf(201, "Procedure or function 'sp_execute' expects a handle.")
	}
	p, ok := x.s.prepared[args[0].Value.Int()]
	if !ok {
		return 0, value.Errorf(8179, "Could not find prepared statement with handle %d.", args[0].Value.Int())
	}
	return x.text(p.text, p.declarations, args[1:])
}

func unprepare(x *execution, args []Argument) (int32, error) {
	if len(args) > 0 {
		delete(x.s.prepared, args[0].Value.Int())
	}
	return 0, nil
}

// appLock names an application lock among all locks.
func appLock(x *execution, resource string) string {
	return "application " + strings.ToLower(x.s.db.name) + " " + resource
}

// getAppLock is sp_getapplock: 0 granted, 1 after waiting, -1 timeout, -2
// cancelled, -3 deadlock, -999 wrong parameters.
func getAppLock(x *execution, args []Argument) (int32, error) {
	a, err := arguments(args, "resource", "lockmode", "lockowner", "locktimeout")
	if err != nil {
		return -999, err
	}
	mode := exclusive
	switch strings.ToLower(text(a["lockmode"])) {
	case "exclusive":
	case "shared":
		mode = shared
	default:
		return -999, unsupported("sp_getapplock with the mode '%s'", text(a["lockmode"]))
	}
	bySession := strings.EqualFold(text(a["lockowner"]), "session")
	if !bySession && x.s.tx == nil {
		return -999, value.Errorf(1223, "Cannot acquire an application lock owned by a transaction: there is no transaction in progress.")
	}
	wait := x.s.lockTimeout
	if t := a["locktimeout"]; t != nil && !t.Value.IsNull() {
		n, failed := value.Convert(t.Value, t.Type, intType, 0, true)
		if failed != nil {
			return -999, failed
		}
		if wait = time.Duration(n.Int()) * time.Millisecond; n.Int() < 0 {
			wait = -1
		}
	}
	key := appLock(x, text(a["resource"]))
	switch x.s.engine.locks.acquire(x.ctx, x.s, key, mode, wait) {
	case lockTimeout:
		return -1, nil
	case lockDeadlock:
		return -3, nil
	case lockCancelled:
		return -2, x.ctx.Err()
	}
	if bySession {
		x.s.applied = append(x.s.applied, key)
	} else {
		x.s.tx.appLocks = append(x.s.tx.appLocks, key)
	}
	return 0, nil
}

func releaseAppLock(x *execution, args []Argument) (int32, error) {
	a, err := arguments(args, "resource", "lockowner")
	if err != nil {
		return -999, err
	}
	key := appLock(x, text(a["resource"]))
	list := &x.s.applied
	if !strings.EqualFold(text(a["lockowner"]), "session") {
		if x.s.tx == nil {
			return -999, value.Errorf(1223, "Cannot release the application lock: it is not currently held.")
		}
		list = &x.s.tx.appLocks
	}
	for i, k := range *list {
		if k == key {
			*list = append((*list)[:i:i], (*list)[i+1:]...)
			x.s.engine.locks.release(x.s, key)
			return 0, nil
		}
	}
	return -999, value.Errorf(1223, "Cannot release the application lock (Database Principal: 'public', Resource: '%s') because it is not currently held.", text(a["resource"]))
}
