package testkit

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
)

// AskHTTP sends the request that a script's question spells and draws the
// answer: status, content type, then the body, JSON indented and protobuf in
// hex. The first line is method and target; following lines are headers, and
// after a line "body:" the body.
func AskHTTP(h http.Handler, question string) string {
	head, body, _ := strings.Cut(question, "\nbody:\n")
	lines := strings.Split(head, "\n")
	method, target, _ := strings.Cut(lines[0], " ")
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, l := range lines[1:] {
		k, v, _ := strings.Cut(l, ": ")
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return fmt.Sprintf("%d %s\n%s", w.Code, w.Header().Get("Content-Type"), drawBody(w))
}

func drawBody(w *httptest.ResponseRecorder) string {
	media := w.Header().Get("Content-Type")
	switch {
	case strings.HasPrefix(media, "application/json"):
		var out bytes.Buffer
		if json.Indent(&out, w.Body.Bytes(), "", " ") == nil {
			return out.String()
		}
	case strings.Contains(media, "protobuf"):
		return hex.EncodeToString(w.Body.Bytes())
	}
	return w.Body.String()
}
