//go:build production || dev || bindings

package main

// hasWindow says that this build can open a window; Wails needs its build tags for it.
const hasWindow = true
