package emulator

import "strings"

// AnyKey is the key in the connection strings of a service that checks none.
const AnyKey = "SAS_KEY_VALUE"

// HideKey returns a connection string with *** instead of its key, unless that
// is AnyKey.
func HideKey(connection string) string {
	parts := strings.Split(connection, ";")
	for i, part := range parts {
		name, value, ok := strings.Cut(part, "=")
		if ok && strings.EqualFold(strings.TrimSpace(name), "SharedAccessKey") && value != AnyKey {
			parts[i] = name + "=***"
		}
	}
	return strings.Join(parts, ";")
}
