// Package workspace is the domain of the workspace manager: what a workspace is, what its owner may ask of it,
// what an engine can say about it, and the ports (Engine, Store) through which the rest of the program reaches the world.
//
// It owns the words of the product (Owner, ID, Spec, Desired, Observed, Status, Outcome) and the rules that need nothing
// but these values. It must not know HTTP, Docker, SQL, configuration files or any user interface, and imports the
// standard library only.
//
// Everything here is a value or a pure function and safe for concurrent use as long as values are not shared mutably.
package workspace
