package testservice

import (
	"os/exec"
	"path/filepath"
	"testing"
)

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

// Java returns the class path of the packages that test/clients/java names. The
// program java itself is on the PATH.
func Java(t testing.TB) (classpath string) {
	t.Helper()
	classpath = require(t, "MILLRACE_TEST_JAVA_CP")
	if _, err := exec.LookPath("java"); err != nil {
		Absent(t, "java is missing: run `make services`")
	}
	return classpath
}

// Lake returns the program of a Python that has what test/clients/lake names,
// which is delta-rs and Apache Spark, the script there that serves calls of
// either, and the class path of the jars with which Spark knows Delta tables.
// Spark runs on the program java, which is on the PATH.
func Lake(t testing.TB) (program, script, classpath string) {
	t.Helper()
	if _, err := exec.LookPath("java"); err != nil {
		Absent(t, "java is missing: run `make services`")
	}
	script = filepath.Join(root(), "test", "clients", "lake", "serve.py")
	return require(t, "MILLRACE_TEST_LAKE_PYTHON"), script, require(t, "MILLRACE_TEST_LAKE_CP")
}
