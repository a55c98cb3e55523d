package beside

import (
	"flag"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	peerURL   = flag.String("peer", "", "address of the server to compare with")
	braidURL  = flag.String("braid", "", "address of Braid")
	braidOTLP = flag.String("braid-otlp", "", "address where Braid takes OTLP over HTTP")
	pushing   = flag.Bool("push", false, "send the records first")
	linesDir  = flag.String("lines", "", "a folder of *.log files to send, and to ask about, as well")
	at        = flag.String("at", "", "begin of the hour that the records lie in, RFC 3339; default: the last but one whole hour")
	only      = flag.String("only", "", "ask only questions with this text in them")
)

// server is one of the two.
type server struct {
	name, base         string
	otlpPath, otlpBase string
}

var (
	servers []*server
	start   time.Time
)

// TestBeside asks both servers and compares.
func TestBeside(t *testing.T) {
	if *peerURL == "" || *braidURL == "" {
		t.Skip("needs -peer and -braid, addresses of two running servers")
	}
	servers = []*server{
		{name: "peer", base: *peerURL, otlpPath: "/otlp/v1/logs"},
		{name: "Braid", base: *braidURL, otlpPath: "/v1/logs", otlpBase: *braidOTLP},
	}
	start = time.Now().Add(-time.Hour).Truncate(time.Hour)
	if *at != "" {
		var err error
		start, err = time.Parse(time.RFC3339, *at)
		require.NoError(t, err)
	}
	blocks := append(readBlocks(t, "testdata/records.txt"), hugeBlock())
	if *linesDir != "" {
		blocks = append(blocks, fileBlocks(t, *linesDir)...)
	}
	if *pushing {
		push(t, blocks)
		settle(t, blocks)
	}
	files, err := filepath.Glob("testdata/*.questions")
	require.NoError(t, err)
	asked, differ, accepted := 0, 0, 0
	for _, f := range files {
		if strings.HasSuffix(f, "files.questions") && *linesDir == "" {
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(f), ".questions"), func(t *testing.T) {
			for _, q := range readQuestions(t, f) {
				if !strings.Contains(q.text, *only) {
					continue
				}
				asked++
				d := q.differences(t)
				switch {
				case q.accepted != "" && d == "":
					t.Errorf("%s:%d: no longer differs: %s", f, q.at, q.text)
				case q.accepted != "":
					accepted++
				case d != "":
					differ++
					t.Errorf("%s:%d: %s\n%s", f, q.at, q.text, d)
				}
			}
		})
	}
	t.Logf("%d questions asked, %d differ, %d more as is accepted", asked, differ, accepted)
}

// A question file has sections, each with a line of settings in brackets, and
// below it a question on each line: LogQL, or a path with parameters when the
// kind is get. A line that begins with '!' says why the question above it may be
// answered differently; right below the settings, why all of the section may. A
// question in double quotes is a Go string.
//
//	[kind name=value …]
//
// Kinds: logs and range (query_range), instant (query), format (format_query),
// get. Values of start, end, time, at are seconds within the hour; in paths
// {seconds} stands for such a time in nanoseconds.
type question struct {
	kind, text string
	params     url.Values
	header     http.Header
	accepted   string
	at         int // line
}

func readQuestions(t *testing.T, file string) (out []question) {
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	var section question
	fresh := false // no question of the section yet
	for i, line := range strings.Split(string(raw), "\n") {
		switch {
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "//"):
		case strings.HasPrefix(line, "["):
			section, fresh = readSection(t, line), true
		case strings.HasPrefix(line, "!") && fresh:
			section.accepted = strings.TrimSpace(line[1:])
		case strings.HasPrefix(line, "!"):
			require.NotEmpty(t, out, line)
			out[len(out)-1].accepted = strings.TrimSpace(line[1:])
		default:
			q := section
			q.text, q.at, fresh = line, i+1, false
			if strings.HasPrefix(line, `"`) {
				q.text, err = strconv.Unquote(line)
				require.NoError(t, err, line)
			}
			out = append(out, q)
		}
	}
	return out
}

func readSection(t *testing.T, line string) question {
	words := strings.Fields(strings.Trim(line, "[]"))
	q := question{kind: words[0], params: url.Values{}, header: http.Header{}}
	switch q.kind {
	case "logs", "range":
		q.params.Set("start", nano(0))
		q.params.Set("end", nano(3600))
	case "instant":
		q.params.Set("time", nano(3600))
	}
	if q.kind == "range" {
		q.params.Set("step", "60s")
	}
	if q.kind == "logs" {
		q.params.Set("limit", "1000")
	}
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "start", "end", "time":
			sec, err := strconv.ParseFloat(value, 64)
			require.NoError(t, err, line)
			value = nano(sec)
		case "header":
			name, value, _ = strings.Cut(value, ":")
			q.header.Add(name, value)
			continue
		}
		q.params.Set(name, value)
	}
	return q
}

// nano is a time within the hour.
func nano(sec float64) string { return strconv.FormatInt(start.UnixNano()+int64(sec*1e9), 10) }

func form(pairs ...string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v.Encode()
}

type reply struct {
	status int
	header http.Header
	body   string
}

func (s *server) ask(t *testing.T, path string, header http.Header) reply {
	req, err := http.NewRequest("GET", s.base+path, nil)
	require.NoError(t, err)
	for k, v := range header {
		req.Header[k] = v
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{body: err.Error()} // it broke off
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return reply{res.StatusCode, res.Header, string(body)}
}

// path is the question as a request.
func (q *question) path() string {
	if q.kind == "get" {
		var out strings.Builder
		rest := q.text
		for {
			before, after, ok := strings.Cut(rest, "{t")
			out.WriteString(before)
			if !ok {
				return out.String()
			}
			sec, after, _ := strings.Cut(after, "}")
			n, _ := strconv.ParseFloat(sec, 64)
			out.WriteString(nano(n))
			rest = after
		}
	}
	v := url.Values{"query": {q.text}}
	for k, x := range q.params {
		v[k] = x
	}
	end := map[string]string{"logs": "query_range", "range": "query_range", "instant": "query", "format": "format_query"}[q.kind]
	return "/loki/api/v1/" + end + "?" + v.Encode()
}
