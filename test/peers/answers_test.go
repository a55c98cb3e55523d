package peers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/otlp"
)

// program is one of the two that are asked.
type program struct {
	name, http, otlp string
	client           *http.Client
}

// programs returns Braid and its peer, or skips the test.
func programs(t *testing.T, peer string) (braid, other program) {
	t.Helper()
	read := func(name string) program {
		p := program{name: name, http: os.Getenv(name + "_URL"), otlp: os.Getenv(name + "_OTLP_URL"), client: &http.Client{Timeout: time.Minute}}
		if p.http == "" || p.otlp == "" {
			t.Skipf("%s_URL and %s_OTLP_URL do not name a running program", name, name)
		}
		return p
	}
	return read("BRAID"), read(peer)
}

// push sends spans over OTLP/HTTP.
func (p program) push(t *testing.T, rows []model.SpanRow) {
	t.Helper()
	for part := range slices.Chunk(rows, 300) {
		resp, err := p.client.Post(p.otlp+"/v1/traces", "application/x-protobuf", bytes.NewReader(otlp.EncodeTraces(part)))
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode, "%s: %s", p.name, body)
	}
}

// get returns the status and the body of an answer.
func (p program) get(t *testing.T, path string, accept string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, p.http+path, nil)
	require.NoError(t, err)
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	resp, err := p.client.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, body
}

// lines is an answer as it is compared. What is wrong is an error of its class
// only: programs tell of it in their own words.
func lines(status int, body []byte, read func(map[string]any) []string) []string {
	if status != http.StatusOK {
		return []string{fmt.Sprintf("status %d", status)}
	}
	var v map[string]any
	if err := json.Unmarshal(body, &v); err != nil {
		return []string{fmt.Sprintf("no JSON: %.100s", body)}
	}
	return read(v)
}

// difference lists what only one of them has, a few lines of each.
func difference(braid, other []string, otherName string) string {
	left, right := onlyIn(braid, other), onlyIn(other, braid)
	if len(left) == 0 && len(right) == 0 {
		if slices.Equal(braid, other) {
			return ""
		}
		return "the order differs"
	}
	var b strings.Builder
	for _, side := range []struct {
		name  string
		lines []string
	}{{"BRAID", left}, {otherName, right}} {
		for i, l := range side.lines {
			if i == 6 {
				fmt.Fprintf(&b, "%s: … %d more\n", side.name, len(side.lines)-i)
				break
			}
			fmt.Fprintf(&b, "%s: %.400s\n", side.name, l)
		}
	}
	return b.String()
}

func onlyIn(a, b []string) (out []string) {
	count := map[string]int{}
	for _, l := range b {
		count[l]++
	}
	for _, l := range a {
		if count[l]--; count[l] < 0 {
			out = append(out, l)
		}
	}
	return out
}

// differences are the questions whose answers differ for a reason.
func differences(t *testing.T, file string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	out := map[string]string{}
	reason := ""
	for l := range strings.Lines(string(raw)) {
		switch l = strings.TrimSpace(l); {
		case strings.HasPrefix(l, "#"):
			reason = strings.TrimSpace(l[1:])
		case l != "":
			out[l] = reason
		}
	}
	return out
}

// Reading JSON without types.

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func object(v any) map[string]any {
	o, _ := v.(map[string]any)
	return o
}

// text writes a JSON value with sorted keys.
func text(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// attributes writes OTLP key-values, sorted; protobuf's JSON may leave out an
// empty list.
func attributes(v any) string {
	var out []string
	for _, kv := range list(v) {
		out = append(out, fmt.Sprint(object(kv)["key"])+"="+strings.ReplaceAll(text(object(kv)["value"]), `{"values":[]}`, "{}"))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
