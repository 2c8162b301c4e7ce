// Package dockertest starts Docker daemons for tests that stop one, starve one, or need one with another storage: the
// developer's own is never touched.
//
// It must not know any package of the product. A Daemon belongs to the test that started it and is not safe for
// concurrent use.
package dockertest
