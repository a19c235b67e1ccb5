package local_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"millrace/connector/eventhubs/local"
	"millrace/connector/eventhubs/local/amqp"
	"millrace/connector/eventhubs/local/hub"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/coder/websocket"
)

func withKey(key string) func(*local.Options, *hub.Options) {
	return func(o *local.Options, _ *hub.Options) { o.Key = key }
}

func TestKeyIsChecked(t *testing.T) {
	t.Parallel()
	w := start(t, withKey("the right key"))
	ctx := patient(t)
	p := w.producer(t, "telemetry")
	if _, err := p.GetEventHubProperties(ctx, nil); err != nil {
		t.Fatal(err)
	}
	send(t, p, toPartition("0"), "ok", 3)
	receive(t, open(t, w.consumer(t, "telemetry", "$Default"), "0", nil), 3)

	for _, wrong := range []string{
		strings.Replace(w.Address(), "the right key", "a wrong key", 1),
		strings.Replace(w.Address(), "RootManageSharedAccessKey", "SomeOtherKey", 1),
	} {
		o := azeventhubs.ProducerClientOptions{RetryOptions: once}
		_, err := producerAt(t, wrong, "telemetry", &o).NewEventDataBatch(ctx, nil)
		mention(t, err, "unauthorized", "InvalidSignature")
		c := consumerAt(t, wrong, "telemetry", "$Default", &azeventhubs.ConsumerClientOptions{RetryOptions: once})
		_, err = tryReceive(open(t, c, "0", nil), 1, patience)
		mention(t, err, "unauthorized")
	}
	if strings.Contains(w.log.String(), "the right key") {
		t.Error("the log shows the key")
	}
}

// A token is for its path and what is below it, until it expires.
func TestTokensAreForTheirPath(t *testing.T) {
	t.Parallel()
	w := start(t, withKey("k"))
	token := func(path string, valid time.Duration) string {
		return fmt.Sprintf("Endpoint=sb://%s;SharedAccessSignature=%s;UseDevelopmentEmulator=true", w.HostPort(), signed(w, path, "k", valid))
	}
	ctx := patient(t)
	o := azeventhubs.ProducerClientOptions{RetryOptions: once}
	send(t, producerAt(t, token("telemetry", time.Hour), "telemetry", &o), nil, "a", 1)
	send(t, producerAt(t, token("", time.Hour), "telemetry", &o), nil, "a", 1)
	for path, why := range map[string]string{"single": "InvalidAudience", "telemetry/Partitions/1": "InvalidAudience"} {
		_, err := producerAt(t, token(path, time.Hour), "telemetry", &o).NewEventDataBatch(ctx, nil)
		mention(t, err, why)
	}
	_, err := producerAt(t, token("telemetry", -time.Hour), "telemetry", &o).NewEventDataBatch(ctx, nil)
	mention(t, err, "ExpiredToken")
}

func webSockets(address string) func(ctx context.Context, args azeventhubs.WebSocketConnParams) (net.Conn, error) {
	return func(ctx context.Context, args azeventhubs.WebSocketConnParams) (net.Conn, error) {
		ws, _, err := websocket.Dial(ctx, "ws://"+address+"/$servicebus/websocket", &websocket.DialOptions{Subprotocols: []string{"AMQPWSB10"}})
		if err != nil {
			return nil, err
		}
		return websocket.NetConn(context.Background(), ws, websocket.MessageBinary), nil
	}
}

func TestWebSockets(t *testing.T) {
	t.Parallel()
	w := start(t, withKey("k"))
	dial := webSockets(w.HostPort())
	p := producerAt(t, w.Address(), "telemetry", &azeventhubs.ProducerClientOptions{NewWebSocketConn: dial})
	send(t, p, toPartition("0"), "over a web socket ", 5000)
	c := consumerAt(t, w.Address(), "telemetry", "$Default", &azeventhubs.ConsumerClientOptions{NewWebSocketConn: dial})
	got := receive(t, open(t, c, "0", nil), 5000)
	if string(got[4999].Body) != "over a web socket 4999" {
		t.Errorf("the last event is %q", got[4999].Body)
	}
	// Without the subprotocol, and on another path.
	ctx := patient(t)
	ws, _, err := websocket.Dial(ctx, "ws://"+w.HostPort()+"/$servicebus/websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.Read(ctx); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("without the subprotocol: %v", err)
	}
	if _, _, err := websocket.Dial(ctx, "ws://"+w.HostPort()+"/elsewhere", nil); err == nil {
		t.Error("a WebSocket on another path was accepted")
	}
}

// TestWebSocketsOfOtherSites: a page whose site lets its own name point to this
// machine says where it comes from, and agrees with itself.
func TestWebSocketsOfOtherSites(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	_, port, err := net.SplitHostPort(w.HostPort())
	if err != nil {
		t.Fatal(err)
	}
	for host, ok := range map[string]bool{"localhost": true, "hubs.localhost": true, "127.0.0.1": true, "evil.example": false} {
		at := host + ":" + port
		ws, _, err := websocket.Dial(patient(t), "ws://"+w.HostPort()+"/$servicebus/websocket", &websocket.DialOptions{
			Host: at, HTTPHeader: http.Header{"Origin": {"http://" + at}}, Subprotocols: []string{"AMQPWSB10"}})
		if (err == nil) != ok {
			t.Errorf("a page of %s: %v", host, err)
		}
		if err == nil {
			_ = ws.CloseNow()
		}
	}
}

func TestHTTPIsHandedOn(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *local.Options, _ *hub.Options) {
		o.NamespacePorts = map[string]int{"other": 0}
		o.HTTP = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(rw, "%s of %q", r.URL.Path, local.NamespaceOf(r.Context()))
		})
	})
	other := strings.TrimPrefix(strings.Split(w.NamespaceAddress("other"), ";")[0], "Endpoint=sb://")
	for url, want := range map[string]string{"http://" + w.HostPort() + "/health": `/health of ""`, "http://" + other + "/x": `/x of "other"`} {
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != want {
			t.Errorf("%s answers %q (%v), want %q", url, body, err, want)
		}
	}
}

func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "millrace"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}, pool
}

func TestTLSOnTheSamePort(t *testing.T) {
	t.Parallel()
	conf, pool := certificate(t)
	w := start(t, func(o *local.Options, _ *hub.Options) { o.TLS = conf; o.Key = "k" })
	// A connection string of Azure: without the emulator's mark, with TLS.
	host, port, err := net.SplitHostPort(w.HostPort())
	if err != nil {
		t.Fatal(err)
	}
	_ = port
	secure := &tls.Config{RootCAs: pool, ServerName: host, MinVersion: tls.VersionTLS12}
	overTLS := func(ctx context.Context, args azeventhubs.WebSocketConnParams) (net.Conn, error) {
		return (&tls.Dialer{Config: secure}).DialContext(ctx, "tcp", w.HostPort())
	}
	p := producerAt(t, w.Address(), "telemetry", &azeventhubs.ProducerClientOptions{NewWebSocketConn: overTLS})
	send(t, p, toPartition("0"), "secret", 10)
	receive(t, open(t, w.consumer(t, "telemetry", "$Default"), "0", nil), 10) // in plain

	wss := func(ctx context.Context, args azeventhubs.WebSocketConnParams) (net.Conn, error) {
		ws, _, err := websocket.Dial(ctx, "wss://"+w.HostPort()+"/$servicebus/websocket", &websocket.DialOptions{Subprotocols: []string{"AMQPWSB10"},
			HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: secure}}})
		if err != nil {
			return nil, err
		}
		return websocket.NetConn(context.Background(), ws, websocket.MessageBinary), nil
	}
	c := consumerAt(t, w.Address(), "telemetry", "$Default", &azeventhubs.ConsumerClientOptions{NewWebSocketConn: wss})
	receive(t, open(t, c, "0", nil), 10)
}

func TestTLSWithoutACertificateIsExplained(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	if c, err := tls.Dial("tcp", w.HostPort(), &tls.Config{InsecureSkipVerify: true}); err == nil {
		c.Close()
		t.Fatal("TLS without a certificate")
	}
	if !strings.Contains(w.log.String(), "UseDevelopmentEmulator=true") {
		t.Error("the log does not say what to do")
	}
}

// The namespace of a connection is that of its port, or the one it names.
func TestNamespaces(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *local.Options, _ *hub.Options) { o.NamespacePorts = map[string]int{"other": 0} })
	ctx := patient(t)
	send(t, w.producer(t, "telemetry"), toPartition("0"), "default", 1)
	other := w.NamespaceAddress("other")
	send(t, producerAt(t, other, "telemetry", nil), toPartition("0"), "other", 1)
	for address, want := range map[string]string{w.Address(): "default0", other: "other0"} {
		if got := receive(t, open(t, consumerAt(t, address, "telemetry", "$Default", nil), "0", nil), 1); string(got[0].Body) != want {
			t.Errorf("%s has %q", address, got[0].Body)
		}
	}
	// By the host's first label, here to the address of this machine.
	_, port, err := net.SplitHostPort(w.HostPort())
	if err != nil {
		t.Fatal(err)
	}
	named := strings.Replace(w.Address(), w.HostPort(), "other.localhost:"+port, 1)
	dial := func(ctx context.Context, args azeventhubs.WebSocketConnParams) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", w.HostPort())
	}
	props, err := producerAt(t, named, "telemetry", &azeventhubs.ProducerClientOptions{NewWebSocketConn: dial}).GetEventHubProperties(ctx, nil)
	if err != nil || len(props.PartitionIDs) != 2 {
		t.Errorf("the hub of the other namespace: %+v, %v", props, err)
	}
}

func TestStartExplainsWhatItNeeds(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	ctx := patient(t)
	_, port, err := net.SplitHostPort(w.HostPort())
	if err != nil {
		t.Fatal(err)
	}
	var taken int
	if _, err := fmt.Sscan(port, &taken); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		o    local.Options
		want string
	}{
		{local.Options{}, "cluster"},
		{local.Options{Cluster: w.cluster, Port: 70000}, "not a port"},
		{local.Options{Cluster: w.cluster, Port: taken}, "is taken"},
		{local.Options{Cluster: w.cluster, NamespacePorts: map[string]int{"nobody": 0}}, "does not exist"},
		{local.Options{Cluster: w.cluster, Host: "203.0.113.7"}, "203.0.113.7"},
	} {
		s, err := local.Start(ctx, tt.o)
		if err == nil {
			_ = s.Close()
		}
		mention(t, err, tt.want)
	}
}

// A connection may hold a thousand claims, and renew each of them.
func TestManyTokens(t *testing.T) {
	t.Parallel()
	w := start(t, withKey("k"))
	c := dialRaw(t, w)
	c.open(nil)
	c.begin(0, 5000)
	c.put(0, receiverAttach(1, "$cbs"))
	get[amqp.Attach](c)
	c.credit(0, 1, 0, 5000, nil)
	c.put(0, senderAttach(0, "$cbs"))
	get[amqp.Attach](c)
	id := uint32(0)
	put := func(audience string, valid time.Duration) (status any) {
		t.Helper()
		c.transfer(0, 0, id, 0, tokenMessage(audience, signed(w, audience, "k", valid)), 60_000)
		for id++; ; {
			f, err := c.frame()
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := f.Body.(*amqp.Transfer); !ok {
				continue
			}
			var m amqp.Message
			if err := amqp.ParseMessage(f.Payload, &m); err != nil {
				t.Fatal(err)
			}
			properties, err := amqp.ReadMap(m.ApplicationProperties)
			if err != nil {
				t.Fatal(err)
			}
			status, _ = properties.Get("status-code")
			return status
		}
	}
	if s := put("passing", 5*time.Second); s != int32(202) {
		t.Fatalf("status %v", s)
	}
	for i := range 999 {
		if s := put(fmt.Sprint("hub", i), time.Hour); s != int32(202) {
			t.Fatalf("token %d: status %v", i, s)
		}
	}
	if s := put("HUB0", time.Hour); s != int32(202) {
		t.Errorf("renewing: status %v", s)
	}
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		s := put("another", time.Hour)
		if s == int32(202) {
			break // the place of one that has expired
		}
		if s != int32(403) || time.Now().After(end) {
			t.Fatalf("status %v", s)
		}
	}
	if s := put("one-more", time.Hour); s != int32(403) {
		t.Errorf("beyond the limit: status %v", s)
	}
}
