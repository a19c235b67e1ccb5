package delta

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"millrace/connector"
	"millrace/connector/blob"
)

const tableHint = "a table is a folder with _delta_log in it, https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH, abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH, or az://CONTAINER/PATH in the account of " + blob.EnvConnectionString

// IsTable tells whether a text names a table itself: an address, or a folder
// that has a log.
func IsTable(ref string) bool {
	if strings.Contains(ref, "://") {
		return true
	}
	st, err := os.Stat(filepath.Join(ref, "_delta_log"))
	return err == nil && st.IsDir()
}

// OpenTable opens the table at ref, a folder or an address as a hint of its
// errors describes them, without connecting to it.
func OpenTable(ctx context.Context, ref string, env connector.Env) (*Table, error) {
	address, container, path, err := parseTable(ref)
	if err != nil {
		return nil, &connector.Hinted{Hint: tableHint, Err: err}
	}
	bucket, err := blob.Open(ctx, address, container, env.Getenv)
	if err != nil {
		return nil, fmt.Errorf("opening the place of the Delta table: %w", err)
	}
	return newTable(bucket, path, env), nil
}

// parseTable takes an address apart. address is "" for the account of the
// environment.
func parseTable(ref string) (address, container, path string, err error) {
	scheme, _, ok := strings.Cut(ref, "://")
	if !ok || strings.EqualFold(scheme, "file") {
		return ref, "", "", nil
	}
	u, err := url.Parse(ref)
	if err != nil || u.Host == "" {
		// The text may hold a signature: it is not shown.
		return "", "", "", errors.New("the address of the table is not a URL")
	}
	path = strings.Trim(u.Path, "/")
	switch strings.ToLower(scheme) {
	case "az":
		container = u.Host
	case "abfss", "abfs":
		container, address = u.User.Username(), "https://"+strings.Replace(u.Host, ".dfs.", ".blob.", 1)
	case "https", "http":
		// Emulators have the account in the path; their tables are named
		// with az:// and a connection string.
		container, path, _ = strings.Cut(path, "/")
		address = scheme + "://" + u.Host
		if u.RawQuery != "" {
			address += "/?" + u.RawQuery
		}
	default:
		return "", "", "", fmt.Errorf("tables at %s:// are not supported", scheme)
	}
	if container == "" || path == "" {
		return "", "", "", errors.New("the address of the table needs a container and a path in it")
	}
	return address, container, path, nil
}
