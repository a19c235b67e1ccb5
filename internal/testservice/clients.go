package testservice

import "testing"

// Node returns the program of Node, and the folder of the packages that
// test/clients/js names, which NODE_PATH has to name for a program to find them.
func Node(t testing.TB) (program, modules string) {
	t.Helper()
	return requireClient(t, "MILLRACE_TEST_NODE"), requireClient(t, "MILLRACE_TEST_NODE_MODULES")
}

// Python returns the program of a Python that has the packages that
// test/clients/python names.
func Python(t testing.TB) (program string) {
	t.Helper()
	return requireClient(t, "MILLRACE_TEST_PYTHON")
}

func requireClient(t testing.TB, key string) string {
	t.Helper()
	v := lookup(key)
	if v == "" {
		Absent(t, "%s is not set and .services/ does not name it: run `test/services/clients.sh install`", key)
	}
	return v
}
