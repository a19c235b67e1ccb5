package local

import (
	"errors"
	"fmt"
	"maps"
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

// cover tells whether a claim covers path at now: one for path, for something
// above it, or for everything (see covers).
func (m claims) cover(path string, now time.Time) bool {
	for at := strings.ToLower(path); ; {
		if until, ok := m[at]; ok && now.Before(until) {
			return true
		}
		if at == "" {
			return false
		}
		at = at[:max(0, strings.LastIndexByte(at, '/'))]
	}
}

// full tells whether there is no room for another path, after those that have
// expired have gone.
func (m claims) full(path string, now time.Time) bool {
	if _, known := m[strings.ToLower(path)]; known || len(m) < maxClaims {
		return false
	}
	maps.DeleteFunc(m, func(_ string, until time.Time) bool { return !now.Before(until) })
	return len(m) >= maxClaims
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
	if len(audience) > maxName {
		return result{status: 400, description: "BadRequest: the audience (name) is too long.", condition: condArgumentError}
	}
	if c.srv.opts.Key == "" {
		return result{status: 202, description: "Accepted"} // nobody asks for claims
	}
	path := addressPath(audience)
	until, why := c.checkToken(r, path)
	if why != "" {
		return result{status: 401, description: why, condition: amqp.ErrorUnauthorizedAccess}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.claims.full(path, time.Now()) {
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
