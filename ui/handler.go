package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

// appRoutes are the first segments of the paths that the program itself
// routes; src/router.tsx declares the same (src/router.test.ts compares them).
// None may be a path of an API on the same port: /metrics, /services, /config
// and /ready belong to machines.
var appRoutes = []string{
	"explore", "l", "request", "compare", "map", "service", "alerting", "dashboards", "status", "design", "split", "graph",
}

// nonceMark stands in index.html where the nonce of each answer goes.
const nonceMark = "__BRAID_NONCE__"

type handler struct {
	files fs.FS
	index []byte // decompressed; the placeholder when the program is not built in
}

func newHandler(files fs.FS) http.Handler {
	h := &handler{files: files}
	if zipped, err := fs.ReadFile(files, "app/index.html.gz"); err == nil {
		if h.index, err = gunzip(zipped); err == nil {
			return h
		}
	}
	h.index, _ = fs.ReadFile(files, "index.html")
	return h
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "the user interface answers GET and HEAD only")
		return
	}
	p := path.Clean("/" + r.URL.Path)
	switch {
	case isAppPath(p):
		h.serveIndex(w, r)
	case strings.HasPrefix(p, "/assets/"):
		h.serveFile(w, r, p, "public, max-age=31536000, immutable")
	case p == "/favicon.svg":
		h.serveFile(w, r, p, "public, max-age=86400")
	default:
		refuse(w, http.StatusNotFound, fmt.Sprintf("there is nothing at %q", p))
	}
}

// isAppPath reports whether the program has a page at a cleaned path.
func isAppPath(p string) bool {
	if p == "/" || p == "/index.html" {
		return true
	}
	first, _, _ := strings.Cut(p[1:], "/")
	for _, r := range appRoutes {
		if first == r {
			return true
		}
	}
	return false
}

func (h *handler) serveIndex(w http.ResponseWriter, r *http.Request) {
	var random [16]byte
	_, _ = rand.Read(random[:]) // crypto/rand.Read never fails (Go 1.24)
	nonce := base64.RawStdEncoding.EncodeToString(random[:])
	setSecurity(w.Header(), nonce)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	page := bytes.ReplaceAll(h.index, []byte(nonceMark), []byte(nonce))
	w.Header().Set("Content-Length", fmt.Sprint(len(page)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(page)
	}
}

func (h *handler) serveFile(w http.ResponseWriter, r *http.Request, p, cache string) {
	zipped, err := fs.ReadFile(h.files, "app"+p+".gz")
	if err != nil {
		refuse(w, http.StatusNotFound, fmt.Sprintf("there is no file %q: reload the page, it may be of an older version", p))
		return
	}
	body := zipped
	head := w.Header()
	setSecurity(head, "")
	head.Set("Cache-Control", cache)
	head.Set("Vary", "Accept-Encoding")
	head.Set("Content-Type", contentType(p))
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		head.Set("Content-Encoding", "gzip")
	} else if body, err = gunzip(zipped); err != nil {
		refuse(w, http.StatusInternalServerError, fmt.Sprintf("cannot decompress %q", p))
		return
	}
	head.Set("Content-Length", fmt.Sprint(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body)
	}
}

// setSecurity forbids everything but our own files: no inline script, no
// request to another host, no frame but our own (the split view). Style
// elements need the nonce; style attributes are let be, because Chromium itself
// writes them when a selection is typed over in the query editor.
func setSecurity(h http.Header, nonce string) {
	style := "'self'"
	if nonce != "" {
		style += " 'nonce-" + nonce + "'"
	}
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src "+style+
		"; style-src-attr 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; frame-src 'self'; frame-ancestors 'self'; "+
		"base-uri 'none'; form-action 'none'; manifest-src 'self'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}

// types are written down because mime.TypeByExtension depends on the machine.
var types = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
	".json": "application/json", ".woff2": "font/woff2", ".map": "application/json",
}

func contentType(p string) string {
	ext := path.Ext(p)
	if t, ok := types[ext]; ok {
		return t
	}
	if t := mime.TypeByExtension(ext); t != "" {
		return t
	}
	return "application/octet-stream"
}

// acceptsGzip reads Accept-Encoding; "gzip;q=0" refuses.
func acceptsGzip(header string) bool {
	for _, part := range strings.Split(header, ",") {
		coding, params, _ := strings.Cut(part, ";")
		coding = strings.TrimSpace(coding)
		if coding != "gzip" && coding != "*" {
			continue
		}
		q := strings.ReplaceAll(params, " ", "")
		return q != "q=0" && q != "q=0.0" && q != "q=0.00" && q != "q=0.000"
	}
	return false
}

// maxFile bounds what gunzip yields: no file of the program comes near it.
const maxFile = 64 << 20

func gunzip(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return io.ReadAll(io.LimitReader(z, maxFile))
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Del("Content-Encoding")
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"status": "error", "error": message})
}
