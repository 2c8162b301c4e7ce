// Package workspacetest holds what every engine and every store must do, as tests that take one, and fakes that pass them:
// FakeEngine and FakeStore stand in for Docker and the disk where those are not what is tested.
//
// It must not know any real engine or store. The fakes are safe for concurrent use; the suites run in the test that calls
// them.
package workspacetest
