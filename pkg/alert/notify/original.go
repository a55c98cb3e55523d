package notify

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"

	"github.com/prometheus/alertmanager/config"
	"go.yaml.in/yaml/v3"
)

const secret = "<secret>"

// original is the configuration as the API shows it: the operator's own text,
// without secrets. Alertmanager would show it with every default filled in, of
// which an amtool that is older than ours refuses the keys it does not know.
func original(text string, conf *config.Config) string {
	var mine, full any
	if yaml.Unmarshal([]byte(text), &mine) != nil || yaml.Unmarshal([]byte(conf.String()), &full) != nil {
		return conf.String()
	}
	root, ok := mine.(map[string]any)
	whole, ok2 := full.(map[string]any)
	if !ok || !ok2 {
		return conf.String()
	}
	out := map[string]any{}
	for key, value := range root {
		switch key {
		case "global", "receivers":
			if v, ok := redacted(key, value, whole[key]); ok {
				out[key] = v
			}
		case "tracing": // may hold secrets, and tells nobody anything
		default:
			out[key] = value // routes, rules and names
		}
	}
	b, err := yaml.Marshal(out)
	if err != nil {
		return conf.String()
	}
	return string(b)
}

// redacted returns what may be shown of a value, by the same value as
// Alertmanager shows it. What Alertmanager shows elsewhere or not at all is left
// out: it may be a secret by another name.
func redacted(key string, mine, shown any) (any, bool) {
	switch x := mine.(type) {
	case map[string]any:
		m, ok := shown.(map[string]any)
		if !ok {
			return nil, false
		}
		out := map[string]any{}
		for k, v := range x {
			if r, ok := redacted(k, v, m[k]); ok {
				out[k] = r
			}
		}
		return out, true
	case []any:
		l, ok := shown.([]any)
		if !ok || len(l) != len(x) {
			return nil, false
		}
		var out []any
		for i := range x {
			if r, ok := redacted(key, x[i], l[i]); ok {
				out = append(out, r)
			}
		}
		return out, true
	}
	switch {
	case shown == nil:
		return nil, false
	case shown != secret:
		return mine, true
	}
	text, _ := mine.(string)
	if scheme, _, ok := strings.Cut(text, "://"); ok && (scheme == "http" || scheme == "https") {
		return scheme + "://" + secret, true // an address still, for whoever parses it
	}
	return secret, true
}

// text returns the text that a configuration was read from.
func (o *Options) text() string {
	if o.ConfigFile == "" {
		return nobody
	}
	b, err := os.ReadFile(o.ConfigFile)
	if err != nil {
		return ""
	}
	return string(b)
}

// status answers for /api/v2/status with the operator's own configuration.
func (a *Alertmanager) status(w http.ResponseWriter, r *http.Request) {
	held := &heldResponse{header: http.Header{}}
	a.handler.ServeHTTP(held, r)
	var body map[string]json.RawMessage
	if text := a.original.Load(); held.status/100 == 2 && text != nil && json.Unmarshal(held.body.Bytes(), &body) == nil {
		body["versionInfo"] = versioned(body["versionInfo"])
		body["config"], _ = json.Marshal(map[string]string{"original": *text})
		if b, err := json.Marshal(body); err == nil {
			held.body.Reset()
			held.body.Write(b)
			held.header.Del("Content-Length")
		}
	}
	held.send(w)
}
