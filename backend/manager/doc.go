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
//
// Five identities tell things apart that look alike:
//
//	Record.UID          this workspace from a later one of the same id; on the container and the volume as a label
//	Record.Attempt      one explicit start from the next; grows by Start, Restart, a changed image, and before the manager
//	                    itself ends a container of the present attempt
//	Record.Launched     the last attempt whose container was seen started: if that one is gone, somebody took it away
//	fingerprint         what cannot change without a new container: image, profile, volume
//	incarnation         one run of one container from the next, to know whether this very IDE has answered
//
// An attempt ends in one of two ways: Judge sees that its container has ended (not while a step of ours handles the
// container), or decideFailure gives a failed step up. Both end in conclude, which alone writes an Outcome.
package manager
