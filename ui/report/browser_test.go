package report

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/internal/testservice"
)

// proxy is all of the network that the browser of a test sees: it serves the
// page under one name, refuses everything else, and remembers what was asked
// for.
type proxy struct {
	page   string
	policy string
	mu     sync.Mutex
	asked  []string
}

const pageAddress = "http://report.test/"

// ownHosts are what browsers talk to by themselves, whatever the page.
var ownHosts = regexp.MustCompile(`(^|\.)(google\.com|googleapis\.com|gvt1\.com|gstatic\.com)(:\d+)?$`)

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	url := r.URL.String()
	if url == pageAddress {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if p.policy != "" {
			w.Header().Set("Content-Security-Policy", p.policy)
		}
		_, _ = io.WriteString(w, p.page)
		return
	}
	// What a page asks for in plain HTTP names the page; of what it asks for
	// by HTTPS only the host is seen.
	fromPage := r.Header.Get("Referer") != "" || r.Header.Get("Origin") != ""
	if url != pageAddress+"favicon.ico" && (fromPage || !ownHosts.MatchString(r.Host)) {
		p.mu.Lock()
		p.asked = append(p.asked, r.Method+" "+url)
		p.mu.Unlock()
	}
	http.Error(w, "not here", http.StatusNotFound)
}

// dump opens the page in a real browser and returns its document afterwards.
// It fails the test if the page asks for anything.
func dump(t *testing.T, browser string, p *proxy, flags ...string) string {
	t.Helper()
	dom := open(t, browser, p, flags...)
	if len(p.asked) > 0 {
		t.Errorf("the page asked for %q", p.asked)
	}
	return dom
}

func open(t *testing.T, browser string, p *proxy, flags ...string) string {
	t.Helper()
	server := httptest.NewServer(p)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	args := append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--disable-extensions",
		"--user-data-dir=" + t.TempDir(), "--proxy-server=" + server.Listener.Addr().String(), "--dump-dom",
	}, append(flags, pageAddress)...)
	cmd := exec.CommandContext(ctx, browser, args...)
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", browser, err, stderr.String())
	}
	return stdout.String()
}

// probe writes what only a browser knows into the document.
const probe = `<script>
addEventListener("load", function () {
  var set = function (k, v) { document.documentElement.setAttribute("data-" + k, v); };
  set("overflow", document.documentElement.scrollWidth - document.documentElement.clientWidth);
  set("width", document.documentElement.clientWidth);
  var blank = 0;
  document.querySelectorAll("figure.chart svg path.line").forEach(function (p) { if (!(p.getTotalLength() > 20)) blank++; });
  document.querySelectorAll("svg rect.bar50").forEach(function (p) { if (!(p.getBBox().width > 1)) blank++; });
  set("blank", blank);
  var outside = 0;
  document.querySelectorAll("figure.chart>svg").forEach(function (svg) {
    var room = svg.viewBox.baseVal;
    svg.querySelectorAll("text,path,rect").forEach(function (e) {
      var b = e.getBBox(); if (b.x < -1 || b.y < -1 || b.x + b.width > room.width + 1 || b.y + b.height > room.height + 1) { outside++; set("which", e.tagName + " " + e.textContent + " " + b.x + " " + b.y + " " + b.width); }
    });
  });
  set("outside", outside);
  set("rows", document.querySelectorAll("#thresholds tbody tr, #failed tbody tr").length);
  set("ground", getComputedStyle(document.body).backgroundColor);
  var hidden = [];
  document.querySelectorAll("h1,h2,.word,.why,td,th").forEach(function (e) {
    var c = getComputedStyle(e); if (c.color === getComputedStyle(document.body).backgroundColor) hidden.push(e.textContent);
  });
  set("invisible", hidden.length);
});
</script></body>`

var attribute = regexp.MustCompile(`data-(overflow|width|blank|outside|which|rows|ground|invisible)="([^"]*)"`)

// look opens a page and checks what has to be right of every one: nothing is
// wider than the window, charts are drawn, text can be seen, the script ran.
func look(t *testing.T, browser, page string, dark bool, rows int, flags []string) (dom string) {
	t.Helper()
	dom = dump(t, browser, &proxy{page: strings.Replace(page, "</body>", probe, 1)}, flags...)
	facts := map[string]string{}
	for _, m := range attribute.FindAllStringSubmatch(dom, -1) {
		facts[m[1]] = m[2]
	}
	want := map[string]string{"overflow": "0", "blank": "0", "outside": "0", "invisible": "0", "rows": strconv.Itoa(rows)}
	for k, v := range want {
		if facts[k] != v {
			t.Errorf("%s is %q, want %s (at a width of %s) %s", k, facts[k], v, facts["width"], facts["which"])
		}
	}
	if white := facts["ground"] == "rgb(255, 255, 255)"; white == dark {
		t.Errorf("the ground is %s", facts["ground"])
	}
	if strings.Contains(dom, `id="download" hidden`) {
		t.Error("the script did not run")
	}
	return dom
}

// TestComparisonInBrowser: as TestPageInBrowser, for the page of a comparison.
func TestComparisonInBrowser(t *testing.T) {
	browser := testservice.Chromium(t)
	c := sampleComparison(t)
	rows := 0
	for i := range c.Runs {
		rows += len(c.Runs[i].Missed)
	}
	for name, flags := range map[string][]string{
		"wide":   {"--window-size=1200,900"},
		"narrow": {"--window-size=390,800"},
		"dark":   {"--window-size=1000,900", "--blink-settings=preferredColorScheme=0"},
	} {
		t.Run(name, func(t *testing.T) {
			dom := look(t, browser, comparisonPage(t, c), name == "dark", rows, flags)
			if n := strings.Count(dom, `<figure class="chart bars"`); n != 4 {
				t.Errorf("%d stages", n)
			}
		})
	}
	t.Run("without JavaScript", func(t *testing.T) {
		dom := dump(t, browser, &proxy{page: comparisonPage(t, c), policy: "script-src 'none'"})
		for _, want := range []string{`id="bars-endToEnd"`, `id="chart-overlay"`, "2,561/s", `id="download" hidden`} {
			if !strings.Contains(dom, want) {
				t.Errorf("%s is not there", want)
			}
		}
	})
}

func TestPageInBrowser(t *testing.T) {
	browser := testservice.Chromium(t)
	for name, c := range map[string]struct {
		report *Report
		flags  []string
		dark   bool
	}{
		"pass, wide":   {report: passing(t), flags: []string{"--window-size=1200,900"}},
		"fail, narrow": {report: failing(t), flags: []string{"--window-size=390,800"}},
		"fail, dark":   {report: failing(t), flags: []string{"--window-size=1000,900", "--blink-settings=preferredColorScheme=0"}, dark: true},
		"broken":       {report: broken(), flags: []string{"--window-size=700,900"}},
	} {
		t.Run(name, func(t *testing.T) {
			dom := look(t, browser, pageOf(t, c.report), c.dark, len(c.report.Thresholds), c.flags)
			if n := strings.Count(dom, `<figure class="chart"`); n != 3 {
				t.Errorf("%d charts", n)
			}
		})
	}
	t.Run("a page that asks is found out", func(t *testing.T) {
		p := &proxy{page: `<html><body><img src="http://elsewhere.test/x.png"><img src="https://elsewhere.test/y.png">`}
		open(t, browser, p)
		if len(p.asked) < 2 {
			t.Errorf("only %q was noticed", p.asked)
		}
	})
	t.Run("without JavaScript", func(t *testing.T) {
		dom := dump(t, browser, &proxy{page: pageOf(t, failing(t)), policy: "script-src 'none'"})
		for _, want := range []string{"312 events are missing", `id="chart-latency"`, "<desc id=\"d-backlog\">", `id="download" hidden`} { // the button stays away
			if !strings.Contains(dom, want) {
				t.Errorf("%s is not there", want)
			}
		}
	})
}
