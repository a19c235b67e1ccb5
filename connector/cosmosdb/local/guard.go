package local

import (
	"net"
	"net/http"
	"strings"
)

// Web sites can have the browsers of their visitors send requests to this
// machine. Two things keep them from the data of a server that asks for no key:
//
//   - a request that a page of another site makes says so (Origin,
//     Sec-Fetch-Site) and is refused. Those with an Authorization header cannot
//     come from there: browsers ask first, and are told nothing;
//   - a site whose own name leads to this machine has pages of the same origin
//     as the server: on loopback addresses, requests must name it by an address
//     or by a name that nobody can register.

// foreign returns the answer to a request that somebody else's page may have
// had a browser make, nil to any other.
func (s *Server) foreign(r *http.Request) *failure {
	if s.auth.open && r.Host != s.hostPort && !ownName(r.Host) && byLoopback(r) {
		return &failure{status: http.StatusMisdirectedRequest,
			message: "This server is not known under the name " + clip(r.Host) + ": reach it as " + s.Endpoint() + "."}
	}
	if len(r.Header["Authorization"]) > 0 {
		return nil
	}
	if err := s.origin.Check(r); err != nil {
		return &failure{status: http.StatusForbidden, message: "Requests from pages of other sites are refused."}
	}
	return nil
}

// refuse answers a request that is looked at no further.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, f *failure) {
	id := newActivityID()
	w.Header().Set("Content-Type", "application/json")
	w.Header()["x-ms-activity-id"] = []string{id}
	w.WriteHeader(f.status)
	_, _ = w.Write(appendFailure(nil, f, id, strings.TrimPrefix(clip(r.URL.EscapedPath()), "/")))
}

func byLoopback(r *http.Request) bool {
	a, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return a == nil || a.IP.IsLoopback()
}

// ownNames end in what cannot be registered, or belongs to the service.
var ownNames = []string{".localhost", ".internal", ".local", ".test", ".documents.azure.com"}

// ownName tells whether the name of a Host header can be nobody else's.
func ownName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	if ip := net.ParseIP(host); ip != nil || !strings.Contains(host, ".") {
		return true
	}
	for _, suffix := range ownNames {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}
