package sqldb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"millrace/connector"
)

// classify decides what an error of PostgreSQL asks for. It is the only place
// that does. Codes: https://www.postgresql.org/docs/15/errcodes-appendix.html
func (p *postgres) classify(doing string, err error) error {
	var refused *refusedError
	var decided *connector.Error
	if err == nil || errors.Is(err, errMoved) || errors.As(err, &refused) || errors.As(err, &decided) {
		return err // decided already
	}
	wrapped := fmt.Errorf("%s: %w", doing, err)
	hint := func(text, format string, args ...any) error {
		return &connector.Hinted{Hint: text, Err: fmt.Errorf(format+": %w", append(args, err)...)}
	}
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return p.classifyConnection(wrapped)
	}
	switch e.Code {
	case "57P01", "57P02", "57P03", "57P05":
		// Shut down by an administrator, crashed, starting up, idle too long.
		return connector.Retryable(p.unreachable(e.Message, wrapped), 0)
	case "40001", "40P01", "55P03":
		// Serialization failure, deadlock, a lock that was not had in time:
		// the next attempt finds other transactions.
		return connector.Retryable(wrapped, 0)
	case "53300":
		// Too many connections: others will end.
		return connector.Retryable(wrapped, 0)
	case "25P03":
		// Idle in a transaction for too long: this process was stopped for
		// a while, and its transaction was rolled back.
		return connector.Retryable(wrapped, 0)
	case "53100":
		return hint("free some space on the server; what was stored before is safe, and a second run continues from it",
			"the disk of PostgreSQL at %s is full", p.where)
	case "28P01", "28000":
		return hint("check user and password in SQL_URL", "PostgreSQL at %s refuses the login", p.where)
	case "3D000":
		return hint("create it with CREATE DATABASE, or name another one in SQL_URL", "PostgreSQL at %s has no such database", p.where)
	case "42501":
		return hint("the user in SQL_URL needs the right to create and write tables in its schema", "%s", doing)
	case "25006":
		return hint("the query may only read; for a server that is a standby, set SQL_URL to the primary", "%s", doing)
	case "42P01", "3F000":
		return hint("nothing may have been stored yet; check table and schema of the store", "%s", doing)
	case "42703":
		return hint("\\d events in psql shows the columns; a table that is not Millrace's own needs another name in the store's table", "%s", doing)
	case "54001":
		// Nested too deeply for the server's stack: one row's JSON.
		return &refusedError{wrapped}
	}
	switch e.Code[:2] {
	case "08":
		return connector.Retryable(wrapped, 0) // connection lost or not established
	case "22":
		// Data that the columns cannot hold: NUL in text, invalid UTF-8,
		// JSON that it does not accept, a time or number out of range.
		return &refusedError{wrapped}
	case "23":
		return &refusedError{wrapped} // a constraint of the table
	case "54":
		return &refusedError{wrapped} // a row beyond the server's limits
	case "53":
		return connector.Retryable(wrapped, 0) // out of memory and the like
	case "58":
		return hint("look into the server's log", "PostgreSQL at %s cannot read or write its files", p.where)
	}
	return wrapped
}

// classifyConnection is about errors that no server has sent.
func (p *postgres) classifyConnection(err error) error {
	if errors.Is(err, context.Canceled) {
		return err // the caller's own decision
	}
	unreachable := p.unreachable(cause(err), err)
	var connect *pgconn.ConnectError
	var network net.Error
	switch {
	case errors.As(err, &connect):
		if strings.Contains(err.Error(), "tls error") || strings.Contains(err.Error(), "TLS") {
			return &connector.Hinted{Hint: "add ?sslmode=disable or the right certificates to SQL_URL", Err: err}
		}
		// Refused, unknown host, no answer in time.
		return connector.Retryable(unreachable, 0)
	case errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		pgconn.SafeToRetry(err), strings.Contains(err.Error(), "conn closed"):
		// Lost in the middle: whether a commit got through is unknown, and a
		// repeated write finds out.
		return connector.Retryable(unreachable, 0)
	}
	return err
}

// unreachable says why the server cannot be reached in one plain sentence, and
// keeps the driver's error, which repeats the address for every attempt, for
// errors.Is.
func (p *postgres) unreachable(cause string, err error) error {
	return &connector.Unreachable{What: "PostgreSQL at " + p.where,
		Hint: "check that the server runs and SQL_URL is right; without SQL_URL an embedded database is used",
		Err:  &plainError{text: cause, err: err}}
}

// cause says in plain words why a connection failed.
func cause(err error) string {
	var dns *net.DNSError
	var errno syscall.Errno
	var network net.Error
	switch {
	case errors.As(err, &dns):
		return "no such host " + dns.Name
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		strings.Contains(err.Error(), "conn closed"):
		return "it closed the connection"
	}
	// The innermost error is the one without addresses around it.
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err.Error()
}
