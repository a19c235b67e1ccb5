package web

import (
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"millrace/internal/testservice"
)

// ownHosts are what browsers talk to by themselves, whatever the page.
var ownHosts = regexp.MustCompile(`(^|\.)(google\.com|googleapis\.com|gvt1\.com|gstatic\.com)(:\d+)?$`)

// proxy is all of the network that the browser of a test sees: the server under
// the name localhost, and nothing else. The page's policy makes room for the
// test's own script.
type proxy struct {
	server http.Handler
	script string

	mu        sync.Mutex
	elsewhere []string
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Host != "localhost:8081" {
		if r.Header.Get("Referer") != "" || r.Header.Get("Origin") != "" || !ownHosts.MatchString(r.Host) {
			p.mu.Lock()
			p.elsewhere = append(p.elsewhere, r.Method+" "+r.URL.String())
			p.mu.Unlock()
		}
		http.Error(w, "not here", http.StatusNotFound)
		return
	}
	// A proxy's requests name the whole URL.
	r.URL.Scheme, r.URL.Host = "", ""
	if r.URL.Path != Path {
		p.server.ServeHTTP(w, r)
		return
	}
	r.Header.Del("Accept-Encoding")
	rec := httptest.NewRecorder()
	p.server.ServeHTTP(rec, r)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", strings.Replace(rec.Header().Get("Content-Security-Policy"), "script-src ", "script-src '"+digest(p.script)+"' ", 1))
	fmt.Fprint(w, strings.Replace(rec.Body.String(), "</body>", "<script>"+p.script+"</script></body>", 1))
}

// open shows the explorer to a browser and returns its document afterwards.
func (w *world) open(browser, script, fragment string, flags ...string) string {
	t := w.t
	t.Helper()
	there, err := url.Parse(w.server.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	back := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(there); r.Out.Host = r.In.Host }}
	p := &proxy{server: back, script: script}
	server := httptest.NewServer(p)
	defer server.Close()
	dom := testservice.DumpDOM(t, browser, server.Listener.Addr().String(), "http://localhost:8081/"+fragment, flags...)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.elsewhere) > 0 {
		t.Errorf("the page asked for %q", p.elsewhere)
	}
	return dom
}

// probe does what a person would do, and writes what only a browser knows into
// the document.
const probe = `
(async function () {
  var set = function (k, v) { document.documentElement.setAttribute("data-" + k, v); };
  var until = async function (fn) { for (var i = 0; i < 200 && !fn(); i++) await new Promise(function (r) { setTimeout(r, 25); }); return fn(); };
  var $ = function (s) { return document.querySelector(s); };
  await until(function () { return document.querySelectorAll("#items details").length > 0; });
  set("listed", document.querySelectorAll("#items details").length);
  set("facts", $("#facts").textContent);
  set("settings", /"partitionKey"/.test($("#settings").textContent));
  var d = $("#items details");
  d.open = true;
  await until(function () { return d.querySelector("pre"); });
  set("item", d.querySelector("pre").textContent);
  $("#next").click();
  set("paged", await until(function () { return /page 2/.test($("#where").textContent) && $("#where").textContent; }));
  var f = $("#query").elements;
  var run = async function (text, done) { f.text.value = text; $("#query").requestSubmit(); return await until(done); };
  await run("SELECT c.id, c.n FROM c ORDER BY c.n", function () { return $("#results table"); });
  set("rows", document.querySelectorAll("#results tbody tr").length);
  set("first", $("#results tbody tr").textContent);
  set("said", $("#said").textContent);
  $("#more").click();
  set("more", await until(function () { return document.querySelectorAll("#results tbody tr").length > 50 && document.querySelectorAll("#results tbody tr").length; }));
  f.as.value = "json"; f.as.dispatchEvent(new Event("change"));
  set("json", $("#results pre").textContent.replace(/\s+/g, " "));
  f.as.value = "table";
  await run("SELECT *\nFORM c", function () { return !$("#wrong").hidden; });
  set("wrong", $("#wrong").textContent);
  set("selected", f.text.value.slice(f.text.selectionStart, f.text.selectionEnd));
  await run("SELECT * FROM c WHERE c.hostile", function () { return $("#wrong").hidden && $("#results table"); });
  set("overflow", document.documentElement.scrollWidth - document.documentElement.clientWidth);
  set("ground", getComputedStyle(document.body).backgroundColor);
  var unseen = 0;
  document.querySelectorAll("h1,h2,h3,th,td,summary span,dd,label,button").forEach(function (e) {
    if (e.textContent.trim() && getComputedStyle(e).color === getComputedStyle(document.body).backgroundColor && !e.classList.contains("main")) unseen++;
  });
  set("invisible", unseen);
  set("scripts", document.querySelectorAll("main script, main img, nav script, nav img").length);
  set("state", $("#state").textContent);
})();`

var attribute = regexp.MustCompile(`data-([a-z]+)="([^"]*)"`)

func factsOf(dom string) map[string]string {
	facts := map[string]string{}
	for _, m := range attribute.FindAllStringSubmatch(dom, -1) {
		facts[m[1]] = html.UnescapeString(m[2])
	}
	return facts
}

func TestExplorerInBrowser(t *testing.T) {
	t.Parallel()
	browser := testservice.Chromium(t)
	for name, c := range map[string]struct {
		flags []string
		dark  bool
	}{
		"wide":   {flags: []string{"--window-size=1300,900"}},
		"narrow": {flags: []string{"--window-size=500,900"}},
		"dark":   {flags: []string{"--window-size=1000,900", "--blink-settings=preferredColorScheme=0"}, dark: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			coll := w.container("db", "c", several, azcosmos.ContainerProperties{})
			w.container("a <b>database with a rather long name that goes on and on and on for sixty characters", "events_with_a_rather_long_name_too_without_any_space_in_it", 400, azcosmos.ContainerProperties{})
			for i := range 59 {
				w.add(coll, fmt.Sprint("p", i), fmt.Sprintf(`{"id":"%02d","pk":"p%d","n":%d,"exact":1.00}`, i, i, i))
			}
			// Items hold whatever somebody wanted them to.
			w.add(coll, "<img src=x onerror=alert(1)>", `{"id":"<script>document.title='gone'<!--\"'&","pk":"<img src=x onerror=alert(1)>","hostile":true,"<b>":"`+
				strings.Repeat("long", 2000)+`","s":"</pre><script>document.title='gone'</script>"}`)
			dom := w.open(browser, probe, "#db/c", c.flags...)
			facts := factsOf(dom)
			for k, want := range map[string]string{"listed": "50", "settings": "true", "paged": "page 2, 10 items", "rows": "50", "first": "000", "more": "59",
				"json": `{ "id": "00", "n": 0 }`, "wrong": "SC1001: ", "selected": "FORM", "overflow": "0", "invisible": "0", "scripts": "0", "state": "live"} {
				if !strings.HasPrefix(facts[k], want) {
					t.Errorf("%s is %q, want %s", k, facts[k], want)
				}
			}
			for k, want := range map[string]string{"facts": "Partition key/pk 3 physical ranges", "item": `"_etag": `, "wrong": "(line 2, column 1)", "said": " RU, "} {
				if !strings.Contains(facts[k], want) {
					t.Errorf("%s is %q, want %s in it", k, facts[k], want)
				}
			}
			if white := facts["ground"] == "rgb(255, 255, 255)"; white == c.dark {
				t.Errorf("the ground is %s", facts["ground"])
			}
			if strings.Contains(dom, "<title>gone") {
				t.Error("an item's script ran")
			}
		})
	}
}

// With a key the page asks for it, and signs what it sends.
func TestExplorerWithAKey(t *testing.T) {
	t.Parallel()
	browser := testservice.Chromium(t)
	w := newWorld(t, base64.StdEncoding.EncodeToString([]byte("hush")))
	coll := w.container("d b", "c'(ü)", 400, azcosmos.ContainerProperties{})
	w.add(coll, "p", `{"id":"1","pk":"p","n":41}`)
	script := `
(async function () {
  var set = function (k, v) { document.documentElement.setAttribute("data-" + k, v); };
  var until = async function (fn) { for (var i = 0; i < 200 && !fn(); i++) await new Promise(function (r) { setTimeout(r, 25); }); return fn(); };
  var $ = function (s) { return document.querySelector(s); };
  var give = function (key) { $("#key").value = key; $("#ask").requestSubmit(); };
  await until(function () { return !$("#ask").hidden; });
  set("before", $("#nav").textContent + $("#items").textContent);
  give("no key");
  await until(function () { return /base64/.test($("#trouble").textContent); });
  set("malformed", $("#trouble").textContent);
  give(btoa("wrong"));
  await until(function () { return /not the key/.test($("#trouble").textContent); });
  set("refused", $("#trouble").textContent);
  give(btoa("hush"));
  set("name", await until(function () { return $("#name").textContent; }));
  await until(function () { return document.querySelectorAll("#items details").length > 0; });
  $("#query").elements.text.value = "SELECT VALUE c.n + 1 FROM c";
  $("#query").requestSubmit();
  set("answer", await until(function () { return $("#results td") && $("#results td").textContent; }));
  set("hidden", $("#ask").hidden);
})();`
	facts := factsOf(w.open(browser, script, ""))
	for k, want := range map[string]string{"before": "", "malformed": "this is not an account key: it is base64, as in a connection string after AccountKey=",
		"refused": "this is not the key of the account", "name": "d b / c'(ü)", "answer": "42", "hidden": "true"} {
		if facts[k] != want {
			t.Errorf("%s is %q, want %q", k, facts[k], want)
		}
	}
}
