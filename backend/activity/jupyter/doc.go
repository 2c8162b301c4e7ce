// Package jupyter asks a Jupyter server whether it is in use: whether a kernel computes, and when a terminal last printed
// something.
//
// It owns Jupyter's interface for this and what its answers are worth. It must not know how a workspace is found, how
// often it is asked, or what follows from the votes. It asks the workspace itself, past the access proxy, so that a
// question is never taken for use; nor does Jupyter take it for use.
//
// A workspace is hostile: its answers are bounded in size and time, lead nowhere else, and can do no more than keep the
// workspace itself alive. A Prober is safe for concurrent use.
package jupyter
