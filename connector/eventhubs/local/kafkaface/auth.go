package kafkaface

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"millrace/connector/eventhubs/local/hub"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	mechanismPlain = "PLAIN"
	mechanismOAuth = "OAUTHBEARER"

	// connectionUser is the user name with which a connection string is the
	// password.
	connectionUser = "$ConnectionString"
)

func (c *conn) saslHandshake(req *kmsg.SASLHandshakeRequest) (kmsg.Response, error) {
	resp := req.ResponseKind().(*kmsg.SASLHandshakeResponse)
	resp.SupportedMechanisms = []string{mechanismPlain, mechanismOAuth}
	if req.Mechanism != mechanismPlain && req.Mechanism != mechanismOAuth {
		resp.ErrorCode = kerr.UnsupportedSaslMechanism.Code
		c.log.Warn("the Kafka endpoint does not know a SASL mechanism", "mechanism", clip([]byte(req.Mechanism), 40), "hint", "use PLAIN with the user $ConnectionString")
		return resp, nil
	}
	c.mechanism = req.Mechanism
	// Clients of the first version send their token without a header.
	c.rawToken = req.Version == 0
	return resp, nil
}

func (c *conn) saslAuthenticate(req *kmsg.SASLAuthenticateRequest) (kmsg.Response, error) {
	resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
	if c.mechanism == "" {
		resp.ErrorCode = kerr.IllegalSaslState.Code
		resp.ErrorMessage = kmsg.StringPtr("SaslAuthenticate came before SaslHandshake")
		return resp, nil
	}
	if err := c.signIn(req.SASLAuthBytes); err != nil {
		resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
		resp.ErrorMessage = kmsg.StringPtr("Authentication failed: " + err.Error())
	}
	return resp, nil
}

// answerToken is SaslAuthenticate without headers.
func (c *conn) answerToken(token []byte) error {
	c.rawToken = false
	if err := c.signIn(token); err != nil {
		return errRefused
	}
	return c.write(make([]byte, 4))
}

// signIn checks a token of the chosen mechanism. Its errors hold no secrets.
func (c *conn) signIn(token []byte) error {
	var s *scope
	var err error
	if c.mechanism == mechanismOAuth {
		s, err = c.srv.bearer(token)
	} else {
		s, err = c.srv.plain(token)
	}
	if err != nil {
		c.log.Warn("the Kafka endpoint refuses a sign-in", "reason", err.Error())
		return err
	}
	c.scope = s
	if c.backend != nil {
		c.backend.forget() // names may mean other topics now
	}
	c.signedIn.Store(true)
	c.log.Debug("signed in at the Kafka endpoint", "scope", s)
	return nil
}

// plain checks user and password: identity to act as, user, password,
// separated by zeros.
func (s *Server) plain(token []byte) (*scope, error) {
	parts := bytes.Split(token, []byte{0})
	if len(parts) != 3 {
		return nil, errors.New("the PLAIN token is not well formed")
	}
	if string(parts[1]) != connectionUser {
		return nil, errors.New("the user name must be $ConnectionString (with a plain $) and the password a connection string")
	}
	cs, err := parseConnection(string(parts[2]))
	if err != nil {
		return nil, err
	}
	if s.opts.Key != "" {
		right := subtle.ConstantTimeCompare([]byte(cs.key), []byte(s.opts.Key)) == 1
		if !right || s.opts.KeyName != "" && cs.keyName != s.opts.KeyName {
			return nil, errors.New("SharedAccessKeyName or SharedAccessKey is wrong")
		}
	}
	return s.scope(cs.host, cs.entity), nil
}

// bearer checks a token of OAUTHBEARER. Nobody here could check whom it was
// made for, so it is taken only where any key would be.
func (s *Server) bearer(token []byte) (*scope, error) {
	if s.opts.Key != "" {
		return nil, errors.New("this endpoint checks a key, so it does not take OAuth tokens: use PLAIN with the user $ConnectionString")
	}
	head, rest, ok := bytes.Cut(token, []byte{1})
	found := false
	for field := range bytes.SplitSeq(rest, []byte{1}) {
		value, is := bytes.CutPrefix(field, []byte("auth=Bearer "))
		found = found || is && len(value) > 0
	}
	if !ok || !bytes.HasPrefix(head, []byte("n,")) || !found {
		return nil, errors.New("the OAUTHBEARER token is not well formed")
	}
	return s.scope("", ""), nil
}

// scope is what a connection string opens: the namespace that its endpoint
// names, else the server's, and in it all hubs or one.
func (s *Server) scope(host, entity string) *scope {
	ns := s.namespace
	label, _, _ := strings.Cut(host, ".")
	if named, ok := s.opts.Cluster.Namespace(label); ok {
		ns = named
	}
	return &scope{ns: ns, entity: entity}
}

// connection is a connection string, taken apart.
type connection struct {
	host, keyName, key, entity string
}

// parseConnection reads a connection string. Parts that only other clients
// care about, such as UseDevelopmentEmulator, are passed over.
func parseConnection(text string) (connection, error) {
	var cs connection
	var endpoint string
	for part := range strings.SplitSeq(strings.TrimSpace(text), ";") {
		name, value, _ := strings.Cut(part, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "endpoint":
			endpoint = strings.TrimSpace(value)
		case "sharedaccesskeyname":
			cs.keyName = value
		case "sharedaccesskey":
			cs.key = strings.TrimSpace(value)
		case "entitypath":
			cs.entity = strings.TrimSpace(value)
		case "sharedaccesssignature":
			return cs, errors.New("the password holds a shared access signature; Kafka clients need SharedAccessKeyName and SharedAccessKey")
		}
	}
	u, err := url.Parse(endpoint)
	if endpoint == "" || err != nil || u.Hostname() == "" {
		return cs, errors.New("the password is no connection string: it must be like Endpoint=sb://HOST/;SharedAccessKeyName=NAME;SharedAccessKey=KEY")
	}
	cs.host = u.Hostname()
	if cs.keyName == "" || cs.key == "" {
		return cs, errors.New("the connection string lacks SharedAccessKeyName or SharedAccessKey")
	}
	return cs, nil
}

// scope is what a signed-in client may see.
type scope struct {
	ns *hub.Namespace
	// entity is the only hub, "" for all of the namespace's.
	entity string
}

// String describes the scope in logs.
func (s *scope) String() string {
	if s.entity == "" {
		return s.ns.Name()
	}
	return fmt.Sprintf("%s/%s", s.ns.Name(), s.entity)
}

// topic returns the log's topic of a hub as clients call it, or the error code
// to answer.
func (s *scope) topic(name string) (topic string, code int16) {
	if s.entity != "" && !strings.EqualFold(s.entity, name) {
		return "", kerr.TopicAuthorizationFailed.Code
	}
	topic = s.ns.Topic(name)
	if known, ok := s.ns.HubOfTopic(topic); !ok || known != name {
		return "", kerr.UnknownTopicOrPartition.Code
	}
	return topic, 0
}

// hub returns what clients call a topic; ok is false if they must not see it.
func (s *scope) hub(topic string) (name string, ok bool) {
	name, ok = s.ns.HubOfTopic(topic)
	return name, ok && (s.entity == "" || strings.EqualFold(s.entity, name))
}
