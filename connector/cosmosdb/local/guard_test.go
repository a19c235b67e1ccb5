package local

import "testing"

// What a page of another site can have a browser send is refused, and nothing
// that clients send.
func TestForeign(t *testing.T) {
	t.Parallel()
	open := &Server{scheme: "http", hostPort: "127.0.0.1:8081", auth: newAuthorizer(nil)}
	locked := &Server{scheme: "http", hostPort: "127.0.0.1:8081", auth: newAuthorizer([]byte("key"))}
	const own = "127.0.0.1:8081"
	for name, c := range map[string]struct {
		asking
		open, locked int // the status, 0: not refused
	}{
		"SDK":                    {asking{verb: "POST", host: own, authorization: true, loopback: true}, 0, 0},
		"SDK by a name":          {asking{verb: "POST", host: "localhost:8081", authorization: true, loopback: true}, 0, 0},
		"SDK in a container":     {asking{verb: "POST", host: "host.docker.internal:8081", authorization: true, loopback: true}, 0, 0},
		"curl":                   {asking{verb: "POST", host: own, loopback: true}, 0, 0},
		"the page":               {asking{verb: "POST", host: own, site: "same-origin", origin: "http://" + own, loopback: true}, 0, 0},
		"the page, old browser":  {asking{verb: "POST", host: own, origin: "http://" + own, loopback: true}, 0, 0},
		"typed in":               {asking{verb: "GET", host: own, site: "none", loopback: true}, 0, 0},
		"a link":                 {asking{verb: "GET", host: own, site: "cross-site", loopback: true}, 0, 0},
		"a form of a site":       {asking{verb: "POST", host: own, site: "cross-site", origin: "https://bad.example.com", loopback: true}, 403, 403},
		"the same, old browser":  {asking{verb: "POST", host: own, origin: "https://bad.example.com", loopback: true}, 403, 403},
		"a sandboxed frame":      {asking{verb: "DELETE", host: own, origin: "null", loopback: true}, 403, 403},
		"another port":           {asking{verb: "POST", host: own, site: "same-site", origin: "http://127.0.0.1:3000", loopback: true}, 403, 403},
		"a name that leads here": {asking{verb: "GET", host: "bad.example.com:8081", loopback: true}, 421, 0},
		"with a made-up token":   {asking{verb: "GET", host: "bad.example.com:8081", authorization: true, loopback: true}, 421, 0},
		"a name like ours":       {asking{verb: "GET", host: "localhost.example.com", loopback: true}, 421, 0},
		"a final dot":            {asking{verb: "GET", host: "bad.example.com.", loopback: true}, 421, 0},
		"localhost in capitals":  {asking{verb: "GET", host: "LOCALHOST.:8081", loopback: true}, 0, 0},
		"IPv6":                   {asking{verb: "GET", host: "[::1]:8081", loopback: true}, 0, 0},
		"by the network":         {asking{verb: "GET", host: "cosmos.example.com:8081"}, 0, 0},
	} {
		for s, want := range map[*Server]int{open: c.open, locked: c.locked} {
			got := 0
			if f := s.foreign(&c.asking); f != nil {
				got = f.status
			}
			if got != want {
				t.Errorf("%s: %d, want %d (open %v)", name, got, want, s == open)
			}
		}
	}
}
