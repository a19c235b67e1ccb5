package web

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"millrace/connector/eventhubs/local/hub"
	"millrace/internal/testservice"
)

// ownHosts are what browsers talk to by themselves, whatever the page.
var ownHosts = regexp.MustCompile(`(^|\.)(google\.com|googleapis\.com|gvt1\.com|gstatic\.com)(:\d+)?$`)

// proxy is all of the network that the browser of a test sees: the handler
// under the name localhost, and nothing else. The handler's policy makes room
// for the test's own script.
type proxy struct {
	handler http.Handler
	script  string

	mu        sync.Mutex
	elsewhere []string
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Host != "localhost:5300" {
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
	if r.URL.Path != "/" {
		p.handler.ServeHTTP(w, r)
		return
	}
	rec := httptest.NewRecorder()
	p.handler.ServeHTTP(rec, r)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", strings.Replace(rec.Header().Get("Content-Security-Policy"), "script-src ", "script-src '"+digest(p.script)+"' ", 1))
	fmt.Fprint(w, strings.Replace(rec.Body.String(), "</body>", "<script>"+p.script+"</script></body>", 1))
}

// open shows the explorer to a browser and returns its document afterwards.
func open(t *testing.T, browser string, handler http.Handler, script, fragment string, flags ...string) string {
	t.Helper()
	p := &proxy{handler: handler, script: script}
	server := httptest.NewServer(p)
	defer server.Close()
	dom := testservice.DumpDOM(t, browser, server.Listener.Addr().String(), "http://localhost:5300/"+fragment, flags...)
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
(function () {
  var set = function (k, v) { document.documentElement.setAttribute("data-" + k, v); };
  var until = async function (fn) { for (var i = 0; i < 200 && !fn(); i++) await new Promise(function (r) { setTimeout(r, 50); }); return fn(); };
  var $ = function (s) { return document.querySelector(s); };
  (async function () {
    await until(function () { return document.querySelectorAll("#events details").length > 0; });
    var f = $("#send").elements;
    f.body.value = '{"from":"the page"}'; f.key.value = "abc"; f.properties.value = "source=page, level=3";
    $("#send").requestSubmit();
    set("sent", await until(function () { return $("#sent").textContent; }));
    await until(function () { return /the page/.test($("#events").textContent); });
    var d = [].find.call(document.querySelectorAll("#events details"), function (d) { return /the page/.test(d.textContent); });
    d.open = true;
    await until(function () { return d.querySelector("pre"); });
    set("shown", d.querySelector("pre").textContent.replace(/\s+/g, " "));
    set("facts", d.querySelector("dl").textContent);
    $("#add-group").elements.group.value = "made-here";
    $("#add-group").requestSubmit();
    set("group", !!await until(function () { return /made-here/.test($("#groups").textContent); }));
    set("overflow", document.documentElement.scrollWidth - document.documentElement.clientWidth);
    set("ground", getComputedStyle(document.body).backgroundColor);
    var unseen = 0;
    document.querySelectorAll("h1,h2,h3,th,td,summary span,dd,label").forEach(function (e) {
      var c = getComputedStyle(e);
      if (e.textContent.trim() && c.color === getComputedStyle(document.body).backgroundColor) unseen++;
    });
    set("invisible", unseen);
    set("scripts", document.querySelectorAll("#events script, #events img").length);
    set("state", $("#state").textContent);
  })();
})();`

var attribute = regexp.MustCompile(`data-(sent|shown|facts|group|overflow|ground|invisible|scripts|state)="([^"]*)"`)

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
			w := newWorld(t, func(o *Options, h *hub.Options) {
				withHub(4)(o, h)
				h.Namespaces[0].Hubs = append(h.Namespaces[0].Hubs, hub.Spec{Name: "a-hub-with-a-rather-long-name.that_goes-on-and-on-for-sixty-characters", Partitions: 32})
				o.Endpoints = func(string) Endpoints { return Endpoints{AMQP: "Endpoint=sb://x", Kafka: "x:1"} }
			})
			// Events hold whatever somebody wanted them to.
			for i := range 12 {
				w.api(200, "POST", hubsPath+"/h/events", fmt.Sprintf(`{"body":"<img src=x onerror=alert(%d)><script>document.title='gone'</script>%s","properties":{"<b>":"<script>1</script>"}}`, i, strings.Repeat("long ", 200)), nil)
			}
			w.api(200, "POST", hubsPath+"/h/events", `{"body":"AAEC","bodyEncoding":"base64"}`, nil)
			dom := open(t, browser, w.server.Config.Handler, probe, "#millrace/h", c.flags...)
			facts := map[string]string{}
			for _, m := range attribute.FindAllStringSubmatch(dom, -1) {
				facts[m[1]] = html.UnescapeString(m[2])
			}
			for k, want := range map[string]string{"sent": "Partition 1, sequence number ", "shown": `{ "from": "the page" }`, "group": "true", "overflow": "0", "invisible": "0", "scripts": "0", "state": "live"} {
				if !strings.HasPrefix(facts[k], want) {
					t.Errorf("%s is %q, want %s", k, facts[k], want)
				}
			}
			for _, want := range []string{"Partition keyabc", "sourcepage", "level3int", "content-typeapplication/json"} {
				if !strings.Contains(facts["facts"], want) {
					t.Errorf("%q is not in %q", want, facts["facts"])
				}
			}
			if white := facts["ground"] == "rgb(255, 255, 255)"; white == c.dark {
				t.Errorf("the ground is %s", facts["ground"])
			}
			if strings.Contains(dom, "<title>gone") {
				t.Error("an event's script ran")
			}
			one, err := w.cluster.Default().Hub(t.Context(), "h")
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := one.HasGroup("made-here"); !ok {
				t.Error("the group was not made")
			}
		})
	}
}

// With a key the page asks for it, and signs what it sends.
func TestExplorerWithAKey(t *testing.T) {
	t.Parallel()
	browser := testservice.Chromium(t)
	w := newWorld(t, func(o *Options, h *hub.Options) {
		withHub(2)(o, h)
		o.Key, o.KeyName = "hush", "RootManageSharedAccessKey"
	})
	const script = `
(async function () {
  var until = async function (fn) { for (var i = 0; i < 200 && !fn(); i++) await new Promise(function (r) { setTimeout(r, 50); }); return fn(); };
  var $ = function (s) { return document.querySelector(s); };
  var give = function (key) { $("#key").value = key; $("#ask").requestSubmit(); };
  await until(function () { return !$("#ask").hidden; });
  document.documentElement.dataset.sent = $("#hubs").textContent;
  give("wrong");
  await until(function () { return !$("#trouble").hidden; });
  document.documentElement.dataset.facts = $("#trouble").textContent;
  give("hush");
  document.documentElement.dataset.state = await until(function () { return $("#hub-name").textContent; });
})();`
	dom := open(t, browser, w.server.Config.Handler, script, "")
	for _, want := range []string{`data-sent=""`, `data-facts="InvalidSignature`, `data-state="h"`} {
		if !strings.Contains(dom, want) {
			t.Errorf("%s is not there: %s", want, dom[:min(300, len(dom))])
		}
	}
}

func TestPageIsOneDocument(t *testing.T) {
	t.Parallel()
	p, err := newPage()
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"http://", "https://", "src=", "@import", "{{"} {
		if strings.Contains(string(p.body), bad) {
			t.Errorf("the page has %s", bad)
		}
	}
}
