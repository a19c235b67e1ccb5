package local

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"millrace/connector/eventhubs/local/amqp"
	"millrace/connector/eventhubs/sas"
)

// never is when claims end that do not.
var never = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// maxClaims bounds what a connection may have put.
const maxClaims = 1000

// claims are what the tokens of a connection are good for: paths, and until when.
type claims map[string]time.Time

func (m *claims) add(path string, until time.Time) {
	if *m == nil {
		*m = claims{}
	}
	(*m)[strings.ToLower(path)] = until
}

// cover tells whether a claim covers path at now.
func (m claims) cover(path string, now time.Time) bool {
	for granted, until := range m {
		if now.Before(until) && covers(granted, path) {
			return true
		}
	}
	return false
}

// putToken takes a token: the request's body. Without a key any token will do.
// With one it must be a shared access signature that the key has made, that has
// not expired, and that covers the audience for which it is put.
func (c *conn) putToken(r *request) result {
	if op := r.text("operation"); op != "put-token" {
		return result{status: 400, description: fmt.Sprintf("BadRequest: the operation '%s' is not known to $cbs.", clip(op, 40)), condition: amqp.ErrorNotImplemented}
	}
	audience := r.text("name")
	if audience == "" {
		return result{status: 400, description: "BadRequest: the audience (name) is missing.", condition: condArgumentError}
	}
	path := addressPath(audience)
	until := never
	if c.srv.opts.Key != "" {
		var why string
		if until, why = c.checkToken(r, path); why != "" {
			return result{status: 401, description: why, condition: amqp.ErrorUnauthorizedAccess}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.claims) >= maxClaims {
		return result{status: 403, description: "QuotaExceeded: the connection has too many claims.", condition: amqp.ErrorResourceLimitExceeded}
	}
	c.claims.add(path, until)
	return result{status: 202, description: "Accepted"}
}

// checkToken says until when a token is good for path, or what is wrong with it.
func (c *conn) checkToken(r *request, path string) (until time.Time, why string) {
	if kind := r.text("type"); kind != "" && !strings.HasSuffix(kind, ":sastoken") {
		return until, fmt.Sprintf("InvalidToken: tokens of type '%s' cannot be checked here; a shared access signature is needed.", clip(kind, 60))
	}
	body, err := r.message.Value()
	if err != nil {
		return until, "MalformedToken: the request has no token as its value."
	}
	token, ok := body.(string)
	if !ok {
		return until, "MalformedToken: the token is not a string."
	}
	t, err := sas.Verify(token, c.srv.opts.KeyName, c.srv.opts.Key, time.Now())
	switch {
	case errors.Is(err, sas.ErrExpired):
		return until, "ExpiredToken: The token is expired."
	case errors.Is(err, sas.ErrSignature):
		return until, "InvalidSignature: The token has an invalid signature."
	case err != nil:
		return until, "MalformedToken: The token is not a shared access signature."
	case !covers(addressPath(t.Resource), path):
		return until, fmt.Sprintf("InvalidAudience: The token is for '%s', not for '%s'.", clip(t.Resource, 200), clip(path, 200))
	}
	return t.Expires, ""
}
