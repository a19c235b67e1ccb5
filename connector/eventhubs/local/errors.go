package local

import (
	"context"
	"errors"
	"fmt"
	"time"

	"millrace/connector"
	"millrace/connector/eventhubs/local/amqp"
	"millrace/connector/eventhubs/local/hub"
)

// Conditions of the service, besides those of AMQP. Clients decide by them
// whether to repeat, to reconnect or to give up.
const (
	condArgumentError       amqp.Symbol = "com.microsoft:argument-error"
	condArgumentOutOfRange  amqp.Symbol = "com.microsoft:argument-out-of-range"
	condServerBusy          amqp.Symbol = "com.microsoft:server-busy"
	condTimeout             amqp.Symbol = "com.microsoft:timeout"
	condOutOfOrderSequence  amqp.Symbol = "com.microsoft:out-of-order-sequence"
	condProducerEpochStolen amqp.Symbol = "com.microsoft:producer-epoch-stolen"
)

func amqpError(condition amqp.Symbol, format string, args ...any) *amqp.Error {
	return &amqp.Error{Condition: condition, Description: fmt.Sprintf(format, args...)}
}

// entityNotFound is the service's answer to addresses of what does not exist.
func entityNotFound(c *conn, path string) *amqp.Error {
	return amqpError(amqp.ErrorNotFound, "The messaging entity 'sb://%s/%s' could not be found.", c.hostname, clip(addressPath(path), 300))
}

func partitionOutOfRange(partitions int) *amqp.Error {
	return amqpError(condArgumentOutOfRange, "The specified partition is invalid for an EventHub partition sender or receiver. "+
		"It should be between 0 and %d.", partitions-1)
}

// throttled is the service's answer when the throughput units are used up. It
// says four seconds whatever the quota is.
func throttled() *amqp.Error {
	return amqpError(condServerBusy, "The request was terminated because the entity is being throttled. "+
		"Error code : 50002. Please wait 4 seconds and try again.")
}

func tooLarge(delivery uint32, size, limit int) *amqp.Error {
	return amqpError(amqp.ErrorLinkMessageSize, "The received message (delivery-id:%d, size:%d bytes) exceeds the limit "+
		"(%d bytes) currently allowed on the link.", delivery, size, limit)
}

// fromLog turns an error of the hubs into what the client is told. Those that
// may pass are server-busy and timeout, which all SDKs repeat.
func fromLog(c *conn, path string, err error) *amqp.Error {
	var told *amqp.Error
	switch {
	case errors.As(err, &told):
		return told
	case errors.Is(err, hub.ErrNotFound):
		return entityNotFound(c, path)
	case errors.Is(err, hub.ErrTooLarge):
		return amqpError(amqp.ErrorLinkMessageSize, "%v", err)
	case errors.Is(err, hub.ErrClosed), errors.Is(err, context.Canceled):
		return amqpError(amqp.ErrorConnectionForced, "The server is shutting down.")
	case errors.Is(err, context.DeadlineExceeded):
		return amqpError(condTimeout, "The log did not answer in time.")
	case connector.ActionOf(err) == connector.Retry:
		return amqpError(condServerBusy, "The log cannot be reached at the moment. Please wait 4 seconds and try again.")
	}
	return amqpError(amqp.ErrorInternal, "%v", err)
}

// unauthorized is the answer to a link for which no valid token was put. claim
// is "Send" or "Listen".
func (c *conn) unauthorized(claim, path string) *amqp.Error {
	return amqpError(amqp.ErrorUnauthorizedAccess, "Unauthorized access. '%s' claim(s) are required to perform this operation. "+
		"Resource: 'sb://%s/%s'.", claim, c.hostname, clip(path, 300))
}

// allowed tells whether a claim that is still valid covers path. Without a key,
// everything is allowed.
func (c *conn) allowed(path string) bool {
	if c.srv.opts.Key == "" {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.claims.cover(path, time.Now())
}

// lookup bounds a question to the log.
func (c *conn) lookup() (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.ctx, c.srv.opts.Timing.Lookup)
}
