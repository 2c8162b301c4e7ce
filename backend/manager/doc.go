// Package manager holds the use cases of the product (create, start, stop, update, delete …) and the reconciler, the
// only one who acts on an engine.
//
// It owns what should be (records), an in-memory model of what is (observations), the pure decisions between the two
// (PlanFor, Judge, decideFailure) and the publication of every change to subscribers. It must not know HTTP, Docker,
// SQL or configuration files: engines and stores reach it through the ports of package workspace.
//
// Concurrency: a Manager is safe for concurrent use. One mutex guards the model; it is never held during a call to an
// engine, and during a store call only where a record is written, so that memory and disk cannot disagree. Each
// workspace with something left to do has one worker goroutine that executes one step at a time.
package manager
