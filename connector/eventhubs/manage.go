package eventhubs

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"millrace/connector/eventhubs/sas"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// The management API: hubs and consumer groups as Atom entries, made with PUT
// and removed with DELETE. It needs the right to manage; where it is refused
// or absent, existing hubs work all the same.
const (
	managementVersion = "2014-01"
	emulatorPort      = "5300" // of the official emulator's HTTP side
	entryType         = "application/atom+xml;type=entry;charset=utf-8"
	tokenScope        = "https://eventhubs.azure.net//.default"
)

// managementError is an answer other than success.
type managementError struct {
	status int
	text   string
}

func (e *managementError) Error() string {
	if e.text == "" {
		return http.StatusText(e.status)
	}
	return http.StatusText(e.status) + ": " + e.text
}

func isStatus(err error, status int) bool {
	var m *managementError
	return errors.As(err, &m) && m.status == status
}

// createHub makes a hub. One that is there already is not an error.
func (e *endpoint) createHub(ctx context.Context, hub string, partitions int, retention time.Duration) error {
	var b strings.Builder
	b.WriteString(`<EventHubDescription xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect">`)
	if retention > 0 {
		const day = 24 * time.Hour
		fmt.Fprintf(&b, "<MessageRetentionInDays>%d</MessageRetentionInDays>", (retention+day-1)/day)
	}
	fmt.Fprintf(&b, "<PartitionCount>%d</PartitionCount></EventHubDescription>", partitions)
	err := e.manage(ctx, http.MethodPut, "/"+hub, b.String())
	if isStatus(err, http.StatusConflict) {
		return nil
	}
	return err
}

// createGroup makes a consumer group. One that is there already is not an
// error.
func (e *endpoint) createGroup(ctx context.Context, hub, group string) error {
	err := e.manage(ctx, http.MethodPut, "/"+hub+"/consumergroups/"+group,
		`<ConsumerGroupDescription xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"></ConsumerGroupDescription>`)
	if isStatus(err, http.StatusConflict) {
		return nil
	}
	return err
}

// deleteHub removes a hub. A missing one is not an error.
func (e *endpoint) deleteHub(ctx context.Context, hub string) error {
	err := e.manage(ctx, http.MethodDelete, "/"+hub, "")
	if isStatus(err, http.StatusNotFound) {
		return nil
	}
	return err
}

// managementHosts are where the management API may be. A local service has it
// on the AMQP port or, like the official emulator, on a port of its own.
func (e *endpoint) managementHosts() (scheme string, hosts []string) {
	if !e.emulator {
		return "https", []string{e.host}
	}
	host, port, err := net.SplitHostPort(e.host)
	if err != nil {
		return "http", []string{net.JoinHostPort(e.host, emulatorPort)}
	}
	hosts = []string{e.host}
	if port != emulatorPort {
		hosts = append(hosts, net.JoinHostPort(host, emulatorPort))
	}
	return "http", hosts
}

// manage sends one request and repeats it while the service is busy or away.
func (e *endpoint) manage(ctx context.Context, method, path, content string) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	scheme, hosts := e.managementHosts()
	client := e.httpClient()
	defer client.CloseIdleConnections()
	for n := 1; ; n++ {
		var err error
		for _, host := range hosts {
			var answered bool
			if answered, err = e.request(ctx, client, method, scheme+"://"+host+path, content); answered {
				break
			}
		}
		var m *managementError
		again := errors.As(err, &m) && (m.status == http.StatusTooManyRequests || m.status >= 500)
		if err == nil || !again && m != nil || ctx.Err() != nil || n > 5 {
			return err
		}
		sleep(ctx, backoff(n))
	}
}

// request reports whether something that speaks HTTP answered.
func (e *endpoint) request(ctx context.Context, client *http.Client, method, address, content string) (answered bool, err error) {
	var body io.Reader
	if content != "" {
		body = bytes.NewReader([]byte(`<?xml version="1.0" encoding="utf-8"?><entry xmlns="http://www.w3.org/2005/Atom"><content type="application/xml">` +
			content + `</content></entry>`))
	}
	// Names are checked, but $Default must not be taken for anything else.
	req, err := http.NewRequestWithContext(ctx, method, address+"?"+url.Values{"api-version": {managementVersion}}.Encode(), body)
	if err != nil {
		return false, err
	}
	token, err := e.managementToken(ctx, address)
	if err != nil {
		return false, err
	}
	req.Header.Set("Authorization", token)
	if body != nil {
		req.Header.Set("Content-Type", entryType)
	}
	resp, err := client.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if resp.StatusCode/100 == 2 {
		return true, nil
	}
	return true, &managementError{status: resp.StatusCode, text: strings.Join(strings.Fields(tagless(string(text))), " ")}
}

// tagless drops the markup of an answer.
func tagless(s string) string {
	var b strings.Builder
	depth := 0
	for _, r := range s {
		switch {
		case r == '<':
			depth++
			b.WriteByte(' ')
		case r == '>' && depth > 0:
			depth--
		case depth == 0:
			b.WriteRune(r)
		}
	}
	if r := []rune(b.String()); len(r) > 300 {
		return string(r[:300])
	}
	return b.String()
}

func (e *endpoint) managementToken(ctx context.Context, address string) (string, error) {
	switch {
	case e.signature != "":
		return e.signature, nil
	case e.connection != "":
		return sas.Sign(strings.ToLower(address), e.keyName, e.key, time.Now().Add(time.Hour)), nil
	}
	t, err := e.credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{tokenScope}})
	if err != nil {
		return "", err
	}
	return "Bearer " + t.Token, nil
}

// httpClient speaks HTTP/1.1 only, which WebSockets need.
func (e *endpoint) httpClient() *http.Client {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: reachTimeout,
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
	if e.tls != nil {
		t.TLSClientConfig = e.tls.Clone()
	}
	if e.emulator {
		t.Proxy = nil // a local service is not behind one
	}
	return &http.Client{Transport: t}
}
