package tsql

import (
	"fmt"
	"strings"
	"time"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// statement runs one statement of any kind.
func (x *execution) statement(st ast.Statement) (flow, error) {
	if x.s.fmtOnly || x.s.noExec {
		return flowNext, x.described(st)
	}
	switch st := st.(type) {
	case *ast.BeginEndBlockStatement:
		return x.list(st.StatementList.Statements)
	case *ast.IfStatement:
		return x.branch(st)
	case *ast.WhileStatement:
		return x.loop(st)
	case *ast.TryCatchStatement:
		return x.tryCatch(st)
	case *ast.BreakStatement:
		return flowBreak, nil
	case *ast.ContinueStatement:
		return flowContinue, nil
	case *ast.ReturnStatement:
		return x.returns(st)
	case *ast.ThrowStatement:
		return flowNext, x.throw(st)
	case *ast.RaiseErrorStatement:
		return flowNext, x.raise(st)
	case *ast.PrintStatement:
		return flowNext, x.print(st)
	case *ast.ExecuteStatement:
		return flowNext, x.execute(st.ExecuteSpecification)
	case *ast.WaitForStatement:
		return flowNext, x.waitFor(st)
	case *ast.DeclareVariableStatement:
		return flowNext, x.declare(st)
	case *ast.DeclareTableVariableStatement:
		return flowNext, x.declareTable(st.Body)
	case *ast.SetVariableStatement:
		return flowNext, x.setVariable(st)
	}
	if ok, err := x.transactional(st); ok {
		return flowNext, err
	}
	if ok, err := x.setting(st); ok {
		return flowNext, err
	}
	return flowNext, x.work(st)
}

// described is a statement under SET FMTONLY ON: queries tell their columns,
// settings count, nothing else happens.
func (x *execution) described(st ast.Statement) error {
	switch st := st.(type) {
	case *ast.SelectStatement:
		if x.s.noExec {
			return nil
		}
		return x.describe(st)
	case *ast.PredicateSetStatement:
		_, err := x.setting(st)
		return err
	}
	return nil
}

// transactional runs the statements about transactions.
func (x *execution) transactional(st ast.Statement) (bool, error) {
	var err error
	switch st := st.(type) {
	case *ast.BeginTransactionStatement:
		err = x.s.begin(x.out)
	case *ast.CommitTransactionStatement:
		err = x.s.commit(x.out)
	case *ast.RollbackTransactionStatement:
		err = x.s.rollback(nameOf(st.Name), x.out)
	case *ast.SaveTransactionStatement:
		err = x.s.save(nameOf(st.Name))
	default:
		return false, nil
	}
	if err == nil {
		err = x.out.Done(commandOther, 0, false)
	}
	return true, err
}

func nameOf(n *ast.IdentifierOrValueExpression) string {
	switch {
	case n == nil:
		return ""
	case n.Identifier != nil:
		return n.Identifier.Value
	}
	return n.Value
}

// condition evaluates a predicate outside of a query.
func (x *execution) condition(p ast.BooleanExpression) (ok bool, err error) {
	err = x.reading(func() error {
		c := x.compiler(nil)
		cond, err := c.boolean(p)
		if err != nil {
			return err
		}
		t, err := cond(c.env(nil))
		ok = t == isTrue
		return err
	})
	return ok, err
}

// scalar evaluates an expression outside of a query.
func (x *execution) scalar(e ast.ScalarExpression) (v value.Value, t value.Type, err error) {
	err = x.reading(func() error {
		c := x.compiler(nil)
		ex, err := c.scalar(e)
		if err != nil {
			return err
		}
		t = ex.typ
		v, err = ex.eval(c.env(nil))
		return err
	})
	return v, t, err
}

// scalarAs evaluates an expression and converts it.
func (x *execution) scalarAs(e ast.ScalarExpression, to value.Type) (value.Value, error) {
	v, from, err := x.scalar(e)
	if err != nil {
		return v, err
	}
	v, failed := value.Convert(v, from, to, 0, true)
	return v, sqlError(failed)
}

func (x *execution) branch(st *ast.IfStatement) (flow, error) {
	ok, err := x.condition(st.Predicate)
	if err != nil {
		return flowNext, err
	}
	x.s.rowCount = 0
	switch {
	case ok && st.ThenStatement != nil:
		return x.one(st.ThenStatement)
	case !ok && st.ElseStatement != nil:
		return x.one(st.ElseStatement)
	}
	return flowNext, nil
}

func (x *execution) loop(st *ast.WhileStatement) (flow, error) {
	for {
		if err := x.ctx.Err(); err != nil {
			return flowNext, err
		}
		ok, err := x.condition(st.Predicate)
		if err != nil || !ok || st.Statement == nil {
			return flowNext, err
		}
		f, err := x.one(st.Statement)
		switch {
		case err != nil || f == flowReturn:
			return f, err
		case f == flowBreak:
			return flowNext, nil
		}
	}
}

func (x *execution) tryCatch(st *ast.TryCatchStatement) (flow, error) {
	x.try++
	f, err := x.list(st.TryStatements.Statements)
	x.try--
	e := asSQL(err)
	if err == nil || e == nil || e.Class >= 20 || e.Number == unsupportedNumber {
		return f, err
	}
	if x.s.tx != nil && (x.s.xactAbort || ends(e) == endTransaction) {
		x.s.tx.doomed = true
	}
	if e.Number == 1205 && x.s.tx != nil {
		if err := x.s.rollback("", x.out); err != nil {
			return flowNext, err
		}
	}
	before := x.sc.caught
	x.sc.caught = e
	x.s.lastError = e.Number
	f, err = x.list(st.CatchStatements.Statements)
	x.sc.caught = before
	return f, err
}

func (x *execution) returns(st *ast.ReturnStatement) (flow, error) {
	if st.Expression != nil {
		v, err := x.scalarAs(st.Expression, value.Of(value.Int))
		if err != nil {
			return flowNext, err
		}
		x.sc.status = int32(v.Int())
	}
	return flowReturn, nil
}

func (x *execution) throw(st *ast.ThrowStatement) error {
	if st.ErrorNumber == nil {
		if x.sc.caught == nil {
			return value.Errorf(10704, "To rethrow an error, a THROW statement must be used inside a CATCH block.")
		}
		return thrown{x.sc.caught}
	}
	number, err := x.scalarAs(st.ErrorNumber, value.Of(value.Int))
	if err != nil {
		return err
	}
	message, err := x.scalarAs(st.Message, value.Of(value.NVarChar))
	if err != nil {
		return err
	}
	state, err := x.scalarAs(st.State, value.Of(value.TinyInt))
	if err != nil {
		return err
	}
	if number.Int() < 50000 {
		return value.Errorf(35100, "Error number %d in the THROW statement is outside the valid range. Specify an error number in the valid range of 50000 to 2147483647.", number.Int())
	}
	return thrown{&value.Error{Number: int32(number.Int()), State: uint8(state.Int()), Class: 16, Message: message.Text()}}
}

func (x *execution) raise(st *ast.RaiseErrorStatement) error {
	v, t, err := x.scalar(st.FirstParameter)
	if err != nil {
		return err
	}
	severity, err := x.scalarAs(st.SecondParameter, value.Of(value.Int))
	if err != nil {
		return err
	}
	state, err := x.scalarAs(st.ThirdParameter, value.Of(value.Int))
	if err != nil {
		return err
	}
	e := &value.Error{Number: 50000, State: uint8(state.Int()), Class: uint8(severity.Int())}
	if !t.ID.Text() {
		return unsupported("RAISERROR with a message number")
	}
	var args []any
	for _, p := range st.OptionalParameters {
		v, t, err := x.scalar(p)
		if err != nil {
			return err
		}
		if t.ID.Integer() {
			args = append(args, v.Int())
		} else {
			args = append(args, value.Format(v, t, 0))
		}
	}
	e.Message = v.Text()
	if len(args) > 0 {
		e.Message = fmt.Sprintf(strings.NewReplacer("%I64d", "%d", "%i", "%d", "%u", "%d").Replace(e.Message), args...)
	}
	if e.Class > 10 {
		return e
	}
	e.Line = int32(st.Frag().StartLine)
	return x.out.Info(e)
}

func (x *execution) print(st *ast.PrintStatement) error {
	v, t, err := x.scalar(st.Expression)
	if err != nil {
		return err
	}
	if v.IsNull() {
		return x.out.Info(&value.Error{State: 1, Message: " "})
	}
	return x.out.Info(&value.Error{State: 1, Line: int32(st.Frag().StartLine), Message: value.Format(v, t, 0)})
}

// waitFor is WAITFOR DELAY 'hh:mm:ss.mmm'.
func (x *execution) waitFor(st *ast.WaitForStatement) error {
	if !strings.EqualFold(st.WaitForOption, "Delay") || st.Parameter == nil {
		return unsupported("WAITFOR %s", st.WaitForOption)
	}
	v, err := x.scalarAs(st.Parameter, value.Of(value.Time))
	if err != nil {
		return err
	}
	t := time.NewTimer(time.Duration(v.Ticks()) * 100)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-x.ctx.Done():
		return x.ctx.Err()
	}
}

// variable finds a declared variable.
func (x *execution) variable(name string) (*variable, error) {
	v := x.sc.variables[strings.ToLower(name)]
	if v == nil {
		e := value.Errorf(137, "Must declare the scalar variable \"%s\".", name)
		e.Class, e.State = 15, 2
		return nil, e
	}
	return v, nil
}

func (x *execution) declare(st *ast.DeclareVariableStatement) error {
	for _, d := range st.Declarations {
		name := strings.ToLower(d.VariableName.Value)
		if x.sc.variables[name] != nil {
			e := value.Errorf(134, "The variable name '%s' has already been declared. Variable names must be unique within a query batch or stored procedure.", d.VariableName.Value)
			e.Class = 15
			return e
		}
		if d.DataType == nil {
			return unsupported("DECLARE %s", d.VariableName.Value)
		}
		if tt := x.tableType(d.DataType.Name); tt != nil {
			x.sc.variables[name] = &variable{table: tt.likeVariable(d.VariableName.Value)}
			continue
		}
		t, err := x.typeOf(d.DataType)
		if err != nil {
			return err
		}
		v := &variable{typ: t}
		if d.Value != nil {
			if v.val, err = x.scalarAs(d.Value, t); err != nil {
				return err
			}
		}
		x.sc.variables[name] = v
	}
	return nil
}

func (x *execution) declareTable(b *ast.DeclareTableVariableBody) error {
	t := &table{objectInfo: objectInfo{name: b.VariableName.Value, kind: "TT"}, own: true, variable: true, storage: "HEAP"}
	if err := x.define(t, b.Definition); err != nil {
		return err
	}
	x.sc.variables[strings.ToLower(b.VariableName.Value)] = &variable{table: t}
	return nil
}

func (x *execution) setVariable(st *ast.SetVariableStatement) error {
	if st.CursorDefinition != nil || st.Identifier != nil || st.Expression == nil {
		return unsupported("this form of SET")
	}
	v, err := x.variable(st.Variable.Name)
	if err != nil {
		return err
	}
	e := assigned(st.Variable, st.Expression, st.AssignmentKind)
	val, err := x.scalarAs(e, v.typ)
	if err != nil {
		return err
	}
	v.val = val
	x.s.rowCount = 1
	return nil
}

// compound are the operators of SET @v += e and its like.
var compound = map[string]string{
	"AddEquals": "Add", "SubtractEquals": "Subtract", "MultiplyEquals": "Multiply", "DivideEquals": "Divide", "ModEquals": "Modulo",
	"BitwiseAndEquals": "BitwiseAnd", "BitwiseOrEquals": "BitwiseOr", "BitwiseXorEquals": "BitwiseXor",
}

// assigned is what an assignment of a kind assigns.
func assigned(target, e ast.ScalarExpression, kind string) ast.ScalarExpression {
	if op, ok := compound[kind]; ok {
		return &ast.BinaryExpression{BinaryExpressionType: op, FirstExpression: target, SecondExpression: e}
	}
	return e
}

// setting runs SET of options, and USE.
func (x *execution) setting(st ast.Statement) (bool, error) {
	switch st := st.(type) {
	case *ast.PredicateSetStatement:
		for _, o := range strings.Split(st.Options, ",") {
			x.option(strings.TrimSpace(o), st.IsOn)
		}
		return true, x.out.Done(commandOther, 0, false)
	case *ast.SetTransactionIsolationLevelStatement:
		levels := map[string]int{"readuncommitted": 1, "readcommitted": 2, "repeatableread": 3, "serializable": 4}
		n, ok := levels[strings.ToLower(st.Level)]
		if !ok {
			return true, snapshotRefused()
		}
		x.s.isolation = n
		return true, x.out.Done(commandOther, 0, false)
	case *ast.SetCommandStatement:
		return true, x.commands(st)
	case *ast.SetRowCountStatement:
		v, err := x.scalarAs(st.NumberRows, value.Of(value.BigInt))
		x.s.rowLimit = v.Int()
		return true, err
	case *ast.SetIdentityInsertStatement:
		return true, x.identityInsert(st)
	case *ast.SetTextSizeStatement, *ast.SetStatisticsStatement:
		return true, x.out.Done(commandOther, 0, false)
	case *ast.UseStatement:
		return true, x.use(st.DatabaseName.Value)
	}
	return false, nil
}

func (x *execution) option(name string, on bool) {
	switch strings.ToLower(name) {
	case "xactabort":
		x.s.xactAbort = on
	case "nocount":
		x.s.noCount = on
	case "fmtonly":
		x.s.fmtOnly = on
	case "noexec":
		x.s.noExec = on
	case "implicittransactions":
		x.s.implicit = on
	}
}

func (x *execution) commands(st *ast.SetCommandStatement) error {
	for _, c := range st.Commands {
		g, ok := c.(*ast.GeneralSetCommand)
		if !ok {
			return unknownNode(c)
		}
		switch strings.ToLower(g.CommandType) {
		case "locktimeout":
			v, err := x.scalarAs(g.Parameter, value.Of(value.Int))
			if err != nil {
				return err
			}
			x.s.lockTimeout = time.Duration(v.Int()) * time.Millisecond
		case "language", "dateformat", "datefirst", "deadlockpriority", "contextinfo", "querygovernorcostlimit":
		default:
			return unsupported("SET %s", g.CommandType)
		}
	}
	return x.out.Done(commandOther, 0, false)
}

func (x *execution) identityInsert(st *ast.SetIdentityInsertStatement) error {
	return x.reading(func() error {
		t, err := x.tableNamed(st.Table)
		if err != nil {
			return err
		}
		x.s.identityInsert = nil
		if st.IsOn {
			x.s.identityInsert = t
		}
		return nil
	})
}

func (x *execution) use(name string) error {
	db := x.s.engine.database(name)
	if db == nil {
		return value.Errorf(911, "Database '%s' does not exist. Make sure that the name is entered correctly.", name)
	}
	old := x.s.db.name
	x.s.db = db
	if err := x.out.Changed(db.name, old); err != nil {
		return err
	}
	return x.out.Done(commandOther, 0, false)
}
