package local

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"

	"millrace/connector/eventhubs/local/amqp"
)

// mechanisms are those offered. ANONYMOUS and MSSBCBS, which .NET uses, say
// nothing: the token comes later, through $cbs. EXTERNAL stands for a client's
// certificate, which is not looked at here, and is taken as ANONYMOUS. Go takes
// the first one that it knows, Python wants an array.
func mechanisms() []amqp.Symbol { return []amqp.Symbol{"ANONYMOUS", "MSSBCBS", "PLAIN", "EXTERNAL"} }

// Outcomes of SASL.
const (
	saslOK   = 0
	saslAuth = 1
)

// authenticate answers the SASL layer, whose header has been read.
func (c *conn) authenticate() error {
	c.write(func(dst []byte) []byte {
		dst = amqp.AppendProtocolHeader(dst, amqp.ProtocolSASL)
		return amqp.AppendFrame(dst, &amqp.Frame{Type: amqp.FrameSASL, Body: &amqp.SASLMechanisms{Mechanisms: mechanisms()}})
	})
	f, err := c.reader.ReadFrame()
	if err != nil {
		return err
	}
	init, ok := f.Body.(*amqp.SASLInit)
	if !ok || f.Type != amqp.FrameSASL {
		return fmt.Errorf("the client sent %T where sasl-init was due", f.Body)
	}
	outcome, why := c.credentials(init)
	c.write(func(dst []byte) []byte {
		return amqp.AppendFrame(dst, &amqp.Frame{Type: amqp.FrameSASL, Body: &amqp.SASLOutcome{Code: outcome}})
	})
	if outcome != saslOK {
		c.log.Warn("a client was refused", "mechanism", clip(string(init.Mechanism), 40), "why", why)
		return errors.New("refused")
	}
	return nil
}

// credentials judges sasl-init. PLAIN carries the name and the value of the key,
// and is good for everything.
func (c *conn) credentials(init *amqp.SASLInit) (outcome uint8, why string) {
	switch init.Mechanism {
	case "ANONYMOUS", "MSSBCBS", "EXTERNAL":
		return saslOK, ""
	case "PLAIN":
	default:
		return saslAuth, "the mechanism is not offered"
	}
	if c.srv.opts.Key == "" {
		return saslOK, ""
	}
	_, rest, _ := bytes.Cut(init.InitialResponse, []byte{0}) // after the identity to act as
	want := c.srv.opts.KeyName + "\x00" + c.srv.opts.Key
	if subtle.ConstantTimeCompare(rest, []byte(want)) != 1 {
		return saslAuth, "the name or the value of the key is wrong"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.claims.add("", never)
	return saslOK, ""
}
