package testservice

import "testing"

// Node returns the program of Node, and the folder of the packages that
// test/clients/js names, which NODE_PATH has to name for a program to find them.
func Node(t testing.TB) (program, modules string) {
	t.Helper()
	return require(t, "MILLRACE_TEST_NODE"), require(t, "MILLRACE_TEST_NODE_MODULES")
}

// Python returns the program of a Python that has the packages that
// test/clients/python names.
func Python(t testing.TB) (program string) {
	t.Helper()
	return require(t, "MILLRACE_TEST_PYTHON")
}
