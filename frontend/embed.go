// Package frontend holds the built web pages. The window and the headless server show the same ones.
//
// It must not know who serves them or under which address: everything in the pages is relative to where they were found.
// Without `npm run build` before, it holds no pages, only the empty folder that lets Go compile.
package frontend

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Assets returns the folder with index.html.
func Assets() fs.FS {
	assets, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the name is a constant and valid
	}
	return assets
}
