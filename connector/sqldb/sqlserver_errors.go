package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	mssql "github.com/microsoft/go-mssqldb"

	"millrace/connector"
)

// Numbers that our own statements raise.
const (
	numberMoved = 51726 // the positions are not what a write expects
	numberBusy  = 51727 // an application lock was not to be had
)

// numberNoDatabase is what a login is answered whose database is not there, or
// not yet again: a service that moves it says the same.
const numberNoDatabase = 4060

// throttled is how long Azure asks to wait when it is busy.
const throttled = 10 * time.Second

// transient are errors after which the same call is worth repeating.
// https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues
var transient = map[int32]time.Duration{
	numberBusy: 0,
	// Between the transactions of several workers.
	1204: 0, // no more locks
	1205: 0, // deadlock victim
	1222: 0, // a lock was not had in time
	3960: 0, // snapshot conflict
	3935: 0, // a file stream transaction; kept for completeness of 39xx
	// The service moves the database, or the server stops or starts.
	// The database cannot be opened, which at the first connection is final.
	numberNoDatabase: 0,
	40197:            0, // the service has failed over or is being upgraded
	40540:            0, // the service has failed, the session was ended
	40143:            0, // the same
	40613:            0, // the database is not available currently
	40020:            0, 40166: 0,
	42108: 0, 42109: 0, // the SQL pool is paused, or is resuming
	596: 0,                         // the session is being killed
	615: 0, 921: 0, 922: 0, 926: 0, // the database is not recovered yet
	983: 0, 976: 0, // a replica that is not primary now
	6005: 0, 17142: 0, // the server is shutting down, or is paused
	18401: 0, // the server is being upgraded
	// Resources and rates.
	701: 0, 802: 0, 8645: 0, 8651: 0, // memory
	10928: throttled, 10929: throttled, // workers, sessions
	10936: throttled,
	40501: throttled, // the service is busy
	49918: throttled, 49919: throttled, 49920: throttled,
	// The connection, in the words of Windows.
	20: 0, 64: 0, 121: 0, 233: 0, 10053: 0, 10054: 0, 10060: 0, 10061: 0, 11001: 0,
}

// content are errors about what a row holds.
var content = map[int32]bool{
	220: true, 232: true, 242: true, 245: true, 248: true, 8114: true, 8115: true, // conversions, overflows
	8152: true, 2628: true, // a text that is too long
	511: true, 1919: true, 1946: true, // a row or a key that is too large
	515: true, 547: true, 2601: true, 2627: true, // constraints of the table
	4815: true, 4816: true, 8023: true, // what a load holds
	13608: true, 13609: true, // ISJSON and the like in a constraint
}

// serverErrors are all errors of the server in a chain; the last one counts
// least, it often only says that something has ended.
func serverErrors(err error) []mssql.Error {
	var e mssql.Error
	if !errors.As(err, &e) {
		return nil
	}
	if len(e.All) > 0 {
		return e.All
	}
	return []mssql.Error{e}
}

// moved makes errMoved of the number by which the statements say so.
func moved(err error) error {
	for _, e := range serverErrors(err) {
		if e.Number == numberMoved {
			return errMoved
		}
	}
	return err
}

// classify decides what an error of SQL Server asks for. It is the only place
// that does.
func (s *sqlServer) classify(doing string, err error) error {
	var refused *refusedError
	var decided *connector.Error
	var hinted *connector.Hinted
	if err == nil || errors.Is(err, errMoved) || errors.As(err, &refused) || errors.As(err, &decided) || errors.As(err, &hinted) {
		return err // decided already
	}
	wrapped := fmt.Errorf("%s: %w", doing, &plainError{text: oneLine(err), err: err})
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return wrapped // the caller's own decision
	}
	all := serverErrors(err)
	if len(all) == 0 {
		return s.classifyConnection(wrapped)
	}
	for _, e := range all {
		if e.Number == numberNoDatabase && !s.opened.Load() {
			// A database that was never open is most likely one that is not there.
			return &connector.Hinted{Hint: "check database= in SQL_URL, and that its user may open it; a database that is just being made or moved is there a minute later",
				Err: fmt.Errorf("SQL Server at %s does not open the database: %w", s.where, &plainError{text: e.Message, err: err})}
		}
		if after, ok := transient[e.Number]; ok {
			if unavailable[e.Number] {
				return connector.Retryable(s.unreachable(e.Message, wrapped), after)
			}
			return connector.Retryable(wrapped, after)
		}
	}
	for _, e := range all {
		if content[e.Number] {
			return &refusedError{wrapped}
		}
	}
	for _, e := range all {
		if h, ok := s.hint(doing, e); ok {
			h.Err = fmt.Errorf("%w: %w", h.Err, &plainError{text: e.Message, err: err})
			return h
		}
	}
	for _, e := range all {
		if e.Class >= 20 {
			// The server has cut the connection, whatever it is about.
			return connector.Retryable(s.unreachable(e.Message, wrapped), 0)
		}
	}
	return wrapped
}

// askingQuery is what a query of the user's is doing.
const askingQuery = "running the query"

// unavailable are the transient errors that say that nobody is there.
var unavailable = map[int32]bool{numberNoDatabase: true, 40197: true, 40540: true, 40143: true, 40613: true, 42108: true, 42109: true,
	6005: true, 17142: true, 18401: true, 20: true, 64: true, 121: true, 233: true, 10053: true, 10054: true, 10060: true,
	10061: true, 11001: true}

// hint says what to do about errors that only the user can mend.
func (s *sqlServer) hint(doing string, e mssql.Error) (*connector.Hinted, bool) {
	advice := func(text, format string, args ...any) (*connector.Hinted, bool) {
		return &connector.Hinted{Hint: text, Err: fmt.Errorf(format, args...)}, true
	}
	switch e.Number {
	case 18456, 18452, 18470, 18486, 18487, 18488, 40530, 40532:
		return advice("check user and password in SQL_URL; for Microsoft Entra ID add fedauth=ActiveDirectoryDefault", "SQL Server at %s refuses the login", s.where)
	case 40615, 40914:
		return advice("allow this machine's address in the firewall of the server", "SQL Server at %s refuses this machine", s.where)
	case 916:
		return advice("the user in SQL_URL needs a user in the database", "SQL Server at %s refuses the database", s.where)
	case 229, 230, 262, 297, 300, 1088, 2760, 3701, 15151, 15247:
		return advice("the user in SQL_URL needs the right to create and write tables in the store's schema: db_ddladmin, db_datareader and db_datawriter", "%s", doing)
	case 3906:
		return advice("set SQL_URL to the primary; for a geo-replica use the name of the failover group", "the database %s is read-only", s.where)
	case 208, 4902:
		return advice("nothing may have been stored yet; check table and schema of the store", "%s", doing)
	case 207:
		return advice("a table that is not Millrace's own needs another name in the store's table", "%s", doing)
	case 2714:
		return advice("name another table in the store's options", "%s: there is something else of this name", doing)
	case 1101, 1105, 9002, 40544, 40551, 40552:
		return advice("free some space, or raise the database's size; what was stored before is safe, and a second run continues from it",
			"the database %s is full", s.where)
	case 35336, 35343, 40536:
		return advice("set layout: rowstore, or choose a tier of Azure SQL Database that has columnstores (vCore, or S3 and up)", "%s", doing)
	case 102, 156, 195, 319:
		if s.names.Layout == Warehouse && strings.HasPrefix(doing, "preparing") {
			return advice("layout: warehouse is for a dedicated SQL pool; others are columnstore and rowstore", "%s", doing)
		}
		if doing == askingQuery {
			return advice("a query is in the SQL of SQL Server: SELECT TOP (10) ... instead of LIMIT 10", "%s", doing)
		}
	}
	return nil, false
}

// classifyConnection is about errors that no server has sent.
func (s *sqlServer) classifyConnection(err error) error {
	var network net.Error
	var broken mssql.StreamError
	var aborted mssql.ServerError
	var refused *azidentity.AuthenticationFailedError
	text := err.Error()
	switch {
	case errors.As(err, &refused), strings.Contains(text, "DefaultAzureCredential"), strings.Contains(text, "azidentity"):
		return &connector.Hinted{Hint: "log in with az login, or set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET, or give the machine an identity",
			Err: fmt.Errorf("no token of Microsoft Entra ID for SQL Server at %s: %w", s.where, err)}
	case strings.Contains(text, "x509:"), strings.Contains(text, "TLS Handshake failed"), strings.Contains(text, "tls:"),
		strings.Contains(text, "encrypt"):
		return &connector.Hinted{Hint: "check encrypt=, TrustServerCertificate= and hostNameInCertificate= in SQL_URL", Err: err}
	case errors.As(err, &network), errors.As(err, &broken), errors.As(err, &aborted), errors.Is(err, driver.ErrBadConn),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, sql.ErrConnDone):
		// Not had, or lost in the middle: whether a commit got through is
		// unknown, and a repeated write finds out.
		return connector.Retryable(s.unreachable(serverCause(err), err), 0)
	}
	return err
}

func serverCause(err error) string {
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) {
		return "it closed the connection"
	}
	return cause(err)
}

func (s *sqlServer) unreachable(cause string, err error) error {
	return &connector.Unreachable{What: "SQL Server at " + s.where,
		Hint: "check that the server runs and SQL_URL is right; without SQL_URL an embedded database is used",
		Err:  &plainError{text: cause, err: err}}
}

// oneLine is an error's text without the lines that the driver makes of
// several errors.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
