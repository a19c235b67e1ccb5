package web

import (
	"crypto/sha256"
	_ "embed" // the page's files
	"encoding/base64"
	"net/http"
	"strings"
)

// The explorer is one document: it works without any other resource.
var (
	//go:embed page/page.html
	pageHTML string
	//go:embed page/page.css
	pageCSS string
	//go:embed page/page.js
	pageJS string
)

// page is the document as it is served.
type page struct {
	body   []byte
	policy string
}

func newPage() page {
	body := strings.NewReplacer("{{style}}", pageCSS, "{{script}}", pageJS).Replace(pageHTML)
	// Only what belongs to the page may run, wherever its text comes from.
	policy := strings.Join([]string{"default-src 'none'", "connect-src 'self'", "img-src data:", "base-uri 'none'", "form-action 'none'",
		"frame-ancestors 'none'", "style-src '" + digest(pageCSS) + "'", "script-src '" + digest(pageJS) + "'"}, "; ")
	return page{[]byte(body), policy}
}

// digest names a script or style in a policy.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func (p page) serve(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", p.policy)
	w.Header().Set("Referrer-Policy", "no-referrer")
	_, _ = w.Write(p.body)
}
