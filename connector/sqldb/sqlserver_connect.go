package sqldb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/azuread"
	"github.com/microsoft/go-mssqldb/msdsn"
)

// sqlServerAddress is a sqlserver:// URL that was looked at.
type sqlServerAddress struct {
	// dsn is the URL for the driver, with the parameters that Millrace adds.
	// It holds the password.
	dsn string
	// where is host:port/database, for people.
	where string
	// entra: the login is Microsoft Entra ID's (fedauth=...).
	entra bool
}

// Domains of Azure's databases. Everything else is somebody's own server.
var azureDomains = []string{".database.windows.net", ".sql.azuresynapse.net", ".database.azure.com",
	".database.chinacloudapi.cn", ".database.usgovcloudapi.net"}

// settled are parameters of the driver that would change the values which are
// read and written.
var settled = map[string]string{
	"timezone":        "times are stored and read in UTC",
	"guid conversion": "the bytes of an eventId are put in order here",
}

// parseSQLServer checks a sqlserver:// URL. All parameters of the driver are
// allowed, but for those in settled. Errors never show the address, which may
// hold a password.
func parseSQLServer(text string) (sqlServerAddress, error) {
	u, err := url.Parse(text)
	if err != nil {
		return sqlServerAddress{}, errors.New("it is not a valid URL; characters such as / @ # % in a password must be percent-encoded")
	}
	given, params := u.Query(), make(map[string]string)
	for name, values := range given {
		params[strings.ToLower(name)] = values[0]
	}
	host := strings.ToLower(u.Hostname())
	azure := false
	for _, domain := range azureDomains {
		azure = azure || strings.HasSuffix(host, domain)
	}
	a := sqlServerAddress{entra: params["fedauth"] != ""}
	switch {
	case host == "":
		return a, errors.New("the host is missing; it looks like sqlserver://user:password@host:1433?database=NAME")
	case params["database"] == "" && u.Path != "":
		return a, errors.New("the database is missing: a path names an instance of the server, a database is named by ?database=NAME")
	case params["database"] == "":
		return a, errors.New("the database is missing; name it by ?database=NAME")
	case !a.entra && u.User.Username() == "" && params["user id"] == "" && params["authenticator"] == "":
		return a, errors.New("the user is missing; sqlserver://user:password@host..., or &fedauth=ActiveDirectoryDefault for Microsoft Entra ID")
	}
	for name, why := range settled {
		if params[name] != "" {
			return a, fmt.Errorf("the parameter %q cannot be set: %s", name, why)
		}
	}
	preset := func(name, value string) {
		if params[name] == "" {
			given.Set(name, value)
		}
	}
	if azure {
		// Without it, the driver trusts whoever answers.
		preset("encrypt", "true")
	}
	preset("app name", "millrace")
	u.RawQuery = given.Encode()
	a.dsn = u.String()
	a.where = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "1433"))
	if instance := strings.Trim(u.Path, "/"); instance != "" && u.Port() == "" {
		a.where = u.Hostname() + "\\" + instance
	}
	a.where += "/" + params["database"]
	if _, err := a.connector(); err != nil {
		return a, fmt.Errorf("%s", withoutPassword(err.Error(), u, params))
	}
	return a, nil
}

// withoutPassword takes the secrets of an address out of a text.
func withoutPassword(text string, u *url.URL, params map[string]string) string {
	password, _ := u.User.Password()
	secrets := []string{password}
	for name, value := range params {
		for _, part := range []string{"password", "secret", "token", "assertion"} {
			if strings.Contains(name, part) {
				secrets = append(secrets, value)
			}
		}
	}
	for _, secret := range secrets {
		if secret != "" {
			for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
				text = strings.ReplaceAll(text, form, "***")
			}
		}
	}
	return text
}

// connector makes the driver's connector. It connects to nothing.
func (a sqlServerAddress) connector() (*mssql.Connector, error) {
	var c *mssql.Connector
	var err error
	cfg, err := msdsn.Parse(a.dsn)
	if err != nil {
		return nil, err
	}
	if a.entra {
		c, err = azuread.NewConnector(a.dsn)
	} else {
		c = mssql.NewConnectorConfig(cfg)
	}
	if err != nil {
		return nil, err
	}
	c.Dialer = patientDialer{net.Dialer{KeepAlive: cfg.KeepAlive}}
	return c, nil
}

// patientDialer makes connections whose writes end: the driver writes a bulk
// load without looking at its context, and a server that is stopped would hold
// it for ever. Reads are left alone: a statement takes as long as it takes,
// and a context ends it.
type patientDialer struct{ net.Dialer }

// writePatience is how long one packet may take.
const writePatience = 2 * time.Minute

// DialContext implements mssql.Dialer.
func (d patientDialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := d.Dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return patientConn{c}, nil
}

type patientConn struct{ net.Conn }

func (c patientConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writePatience)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}
