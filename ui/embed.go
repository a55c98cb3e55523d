// Package ui serves Braid's user interface from the binary.
//
// The interface is a single-page program written in TypeScript; `npm run build`
// puts it into dist/app, every file gzipped (file.gz) and nothing else. A clean
// clone has only dist/index.html, a page that says how to build, so that the Go
// build never needs npm.
//
// Life of a request: Handler tells three kinds of path apart. /assets/ holds
// files whose names carry a hash of their content: cached for a year. A path of
// the program (appRoutes) answers index.html, never cached, with a fresh nonce
// for style elements. Anything else is a JSON 404: a client that asks for an
// API path that is not there must never be answered with a page.
package ui

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed all:dist
var dist embed.FS

// Handler serves the user interface. It is safe for concurrent use and holds
// everything in memory.
func Handler() http.Handler {
	root, err := fs.Sub(dist, "dist")
	if err != nil { // the directory is named in the embed directive above
		root = dist
	}
	return newHandler(root)
}
