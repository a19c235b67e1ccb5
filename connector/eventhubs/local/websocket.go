package local

import (
	"net/http"
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
