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

// asking is what the check needs to know of a request.
type asking struct {
	verb, host string
	// origin and site are the headers Origin and Sec-Fetch-Site.
	origin, site string
	// authorization tells that there is such a header, loopback that the
	// request came by a loopback address.
	authorization, loopback bool
}

// foreign returns the answer to a request that somebody else's page may have
// had a browser make, nil to any other.
func (s *Server) foreign(a *asking) *failure {
	if s.auth.open && a.loopback && a.host != s.hostPort && !ownName(a.host) {
		return &failure{status: http.StatusMisdirectedRequest,
			message: "This server is not known under the name " + clip(a.host) + ": reach it as " + s.scheme + "://" + s.hostPort + "/."}
	}
	if a.authorization || a.verb == http.MethodGet || a.verb == http.MethodHead || a.verb == http.MethodOptions {
		return nil // these verbs change nothing
	}
	switch a.site {
	case "same-origin", "none":
		return nil
	case "":
		if a.origin == "" || a.origin == s.scheme+"://"+a.host {
			return nil
		}
	}
	return &failure{status: http.StatusForbidden, message: "Requests from pages of other sites are refused."}
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
