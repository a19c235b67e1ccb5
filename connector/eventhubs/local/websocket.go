package local

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/coder/websocket"
)

// The path on which the service takes AMQP over WebSocket, and its subprotocol.
const (
	webSocketPath        = "/$servicebus/websocket"
	webSocketSubprotocol = "AMQPWSB10"
)

func isWebSocket(r *http.Request) bool {
	return strings.EqualFold(strings.TrimSuffix(r.URL.Path, "/"), webSocketPath)
}

// serveWebSocket serves AMQP inside binary messages, whose borders mean nothing.
func (s *Server) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	l, ok := r.Context().Value(onKey{}).(*listener)
	if !ok {
		l = s.listeners[0]
	}
	if !ownOrigin(r) {
		s.opts.Log.Warn("a WebSocket of another site's page was refused", "client", r.RemoteAddr, "origin", r.Header.Get("Origin"))
		http.Error(w, "requests from other sites are refused", http.StatusForbidden)
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{webSocketSubprotocol, "amqp"}})
	if err != nil { // the client has been told
		s.opts.Log.Warn("a WebSocket was refused", "client", r.RemoteAddr, "error", err)
		return
	}
	if ws.Subprotocol() == "" {
		s.opts.Log.Warn("a WebSocket without the subprotocol "+webSocketSubprotocol+" was closed", "client", r.RemoteAddr)
		_ = ws.Close(websocket.StatusPolicyViolation, "the subprotocol must be "+webSocketSubprotocol)
		return
	}
	s.serveAMQP(l, websocket.NetConn(s.ctx, ws, websocket.MessageBinary), "websocket")
}

// ownOrigin refuses pages of other sites on a loopback address: a site may let
// its own name point there, and the names that a browser compares would agree.
// Programs send no origin. On other addresses, Accept's comparison with the
// request's host is what there is.
func ownOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok && !a.IP.IsLoopback() {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	name := strings.ToLower(u.Hostname())
	ip := net.ParseIP(name)
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || ip != nil && ip.IsLoopback()
}
