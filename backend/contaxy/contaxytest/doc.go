// Package contaxytest runs a real ML Lab for tests: its backend, database and store of files in containers, behind a front
// that routes and authorises as ML Lab's own does (build/lab, build/scripts/lab.sh). Only tests may import it. They need
// LAB_TEST_DOCKER=1, and are skipped without.
//
// A package that uses it hands its tests to Main, and then shares one lab of each kind among them: each test finds it
// without services, with the users admin, ada and bob, and leaves it running as it was. Without Main each test has a lab of
// its own, and waits for it.
//
// It must not know any package of the product. A Lab belongs to one test at a time: tests that use one must not be parallel.
// Packages whose tests run at the same time wait for each other, since labs on one Docker get into each other's way.
package contaxytest
