package blob

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"millrace/connector"
)

// EnvConnectionString is the environment variable that Open reads if it is
// given no address.
const EnvConnectionString = "STORAGE_CONNECTION_STRING"

// The account that every storage emulator has. Its key is public.
const (
	devAccount = "devstoreaccount1"
	devKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
	devPort    = "10000"
)

// Open returns the bucket container at address, without connecting to it.
// An address is
//
//   - a folder, as a path or as file:///path; the container is a folder in it,
//     and "" stands for the folder itself;
//   - a connection string of a storage account: with AccountName and
//     AccountKey, with SharedAccessSignature, UseDevelopmentStorage=true, and
//     with BlobEndpoint where the address does not follow from the name;
//   - the https URL of an account, of its blob or its dfs endpoint, which is
//     entered with Entra ID (az login, a managed identity, AZURE_CLIENT_ID ...)
//     unless the URL carries a shared access signature.
//
// An empty address stands for the environment variable
// STORAGE_CONNECTION_STRING, read through getenv (nil: not read).
func Open(_ context.Context, address, container string, getenv func(string) string) (Bucket, error) {
	if address == "" && getenv != nil {
		address = getenv(EnvConnectionString)
	}
	if IsFolder(address) {
		return openFolder(address, container)
	}
	return openAzure(address, container)
}

// IsFolder tells whether address names a folder, as opposed to a storage
// account.
func IsFolder(address string) bool {
	if u := strings.ToLower(address); strings.HasPrefix(u, "https://") || strings.HasPrefix(u, "http://") {
		return false
	}
	return address != "" && !isConnectionString(address)
}

var connectionKeys = []string{"accountname", "accountkey", "blobendpoint", "defaultendpointsprotocol",
	"endpointsuffix", "sharedaccesssignature", "usedevelopmentstorage", "developmentstorageproxyuri"}

func isConnectionString(s string) bool {
	for part := range strings.SplitSeq(s, ";") {
		key, _, ok := strings.Cut(part, "=")
		if !ok {
			continue
		}
		key = strings.ToLower(strings.TrimSpace(key))
		for _, k := range connectionKeys {
			if key == k {
				return true
			}
		}
	}
	return false
}

// folderPath turns an address that IsFolder accepts into a path.
func folderPath(address string) string {
	if rest, ok := strings.CutPrefix(address, "file://"); ok {
		if p, err := url.PathUnescape(rest); err == nil {
			rest = p
		}
		return filepath.FromSlash(rest)
	}
	return address
}

// account is where a storage account is and how to enter it.
type account struct {
	// url is that of the service, with a slash at the end and without the
	// signature.
	url string
	// name and key are for shared-key authorization.
	name, key string
	// sas is a shared access signature, without the question mark. Without
	// it and without a key Entra ID is used.
	sas string
}

func hinted(hint, format string, args ...any) error {
	return &connector.Hinted{Hint: hint, Err: fmt.Errorf(format, args...)}
}

const connectionHint = "copy the connection string from the storage account's page \"Access keys\", or set " + EnvConnectionString + " to a folder"

// parseAccount reads an address that is not a folder. Its errors never show a
// secret.
func parseAccount(address string) (account, error) {
	if address == "" {
		return account{}, hinted(connectionHint, "no storage is configured")
	}
	if !isConnectionString(address) {
		return parseURL(address)
	}
	values := map[string]string{}
	for part := range strings.SplitSeq(address, ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		key, value, ok := strings.Cut(part, "=")
		if !ok {
			return account{}, hinted(connectionHint, "the storage connection string has a part without a '='")
		}
		values[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
	}
	if strings.EqualFold(values["usedevelopmentstorage"], "true") {
		return developmentAccount(values["developmentstorageproxyuri"])
	}
	a := account{url: values["blobendpoint"], name: values["accountname"], key: values["accountkey"],
		sas: strings.TrimPrefix(values["sharedaccesssignature"], "?")}
	if a.url == "" {
		if a.name == "" {
			return account{}, hinted(connectionHint, "the storage connection string has neither AccountName nor BlobEndpoint")
		}
		protocol, suffix := values["defaultendpointsprotocol"], values["endpointsuffix"]
		if protocol == "" {
			protocol = "https"
		}
		if suffix == "" {
			suffix = "core.windows.net"
		}
		a.url = protocol + "://" + a.name + ".blob." + suffix
	}
	u, err := url.Parse(a.url)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return account{}, hinted(connectionHint, "the storage connection string leads to no http or https address")
	}
	if a.sas == "" && u.RawQuery != "" {
		a.sas = u.RawQuery
	}
	u.RawQuery = ""
	a.url = withSlash(u.String())
	if _, err := url.Parse("?" + a.sas); err != nil {
		// Each request would fail with an error that shows it.
		return account{}, hinted(connectionHint, "the SharedAccessSignature has characters that no signature has")
	}
	if a.sas == "" && (a.name == "" || a.key == "") {
		return account{}, hinted(connectionHint, "the storage connection string has neither an AccountName with AccountKey nor a SharedAccessSignature")
	}
	if a.sas != "" && (a.name == "" || a.key == "") {
		a.key = ""
	}
	return a, nil
}

func developmentAccount(proxy string) (account, error) {
	host := "http://127.0.0.1"
	if proxy != "" {
		u, err := url.Parse(proxy)
		if err != nil || u.Host == "" {
			return account{}, hinted(connectionHint, "DevelopmentStorageProxyUri is not an address such as http://127.0.0.1")
		}
		host = u.Scheme + "://" + u.Hostname()
	}
	return account{url: host + ":" + devPort + "/" + devAccount + "/", name: devAccount, key: devKey}, nil
}

func parseURL(address string) (account, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		// The text may hold a signature: it is not shown.
		return account{}, hinted("an account's address looks like https://ACCOUNT.blob.core.windows.net", "the address of the storage account is not a URL")
	}
	if u.User != nil {
		return account{}, hinted("use a connection string or a shared access signature", "the address of a storage account holds no user name")
	}
	// Data Lake Storage accounts answer on two endpoints; this one speaks
	// the protocol of blobs.
	u.Host = strings.Replace(u.Host, ".dfs.", ".blob.", 1)
	a := account{sas: u.RawQuery}
	u.RawQuery, u.Fragment = "", ""
	a.url = withSlash(u.String())
	if a.sas == "" && u.Scheme != "https" {
		return account{}, hinted("use https, or a connection string with a key", "Entra ID hands no token to %s, which is not https", a.url)
	}
	return a, nil
}

func withSlash(s string) string {
	if strings.HasSuffix(s, "/") {
		return s
	}
	return s + "/"
}

var containerName = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9])+$`)

// CheckContainer returns an error unless name can be the name of a container
// of a storage account: 3 to 63 lower-case letters, digits and single hyphens.
func CheckContainer(name string) error {
	if len(name) < 3 || len(name) > 63 || !containerName.MatchString(name) {
		return &connector.Hinted{Hint: "3 to 63 lower-case letters, digits and single hyphens make a name",
			Err: fmt.Errorf("%q cannot be the name of a container", name)}
	}
	return nil
}

var errNoContainer = errors.New("a storage account needs the name of a container")
