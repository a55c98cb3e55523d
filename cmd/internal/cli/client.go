package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"sort"
	"strings"
	"time"

	"braid/pkg/tenant"
)

// clientFlags say which Braid is asked.
type clientFlags struct {
	Addr   string `help:"Address of Braid." default:"http://127.0.0.1:4320" env:"BRAID_ADDR"`
	Tenant string `help:"Tenant to ask as." env:"BRAID_TENANT"`
	JSON   bool   `name:"json" help:"Print the answer as the API gives it."`
}

// maxAnswer bounds what a command reads.
const maxAnswer = 1 << 30

// get asks and returns the body; an answer other than 200 is an error with its
// text.
func (c *clientFlags) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	u := strings.TrimSuffix(c.Addr, "/") + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, err
	}
	return c.do(r)
}

func (c *clientFlags) do(r *http.Request) ([]byte, error) {
	if c.Tenant != "" {
		r.Header.Set(tenant.Header, c.Tenant)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, fmt.Errorf("cannot reach Braid at %s: %w", c.Addr, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(errorText(resp.Status, body))
	}
	return body, nil
}

// errorText finds the message in the several shapes of errors.
func errorText(status string, body []byte) string {
	var e struct{ Error, Message string }
	if json.Unmarshal(body, &e) == nil && e.Error+e.Message != "" {
		return e.Error + e.Message
	}
	if text := strings.TrimSpace(string(body)); text != "" {
		return text
	}
	return status
}

func printJSON(body []byte) error {
	var out bytes.Buffer
	if err := json.Indent(&out, body, "", "  "); err != nil {
		_, err = os.Stdout.Write(body)
		return err
	}
	_, err := out.WriteTo(os.Stdout)
	fmt.Println()
	return err
}

type correlateCmd struct {
	clientFlags
	ID   string `arg:"" help:"Any spelling of an id, or a text that holds one."`
	Kind string `help:"Kind of id: trace, request, session, user, …"`
}

type correlated struct {
	Kinds, Aliases, Near []struct{ Kind, ID string }
	Services             []struct {
		Name                string
		Spans, Logs, Errors int
	}
	Spans []struct {
		TraceID, SpanID, Name, Service, Status string
		StartNs, DurationNs                    int64 `json:",string"`
		Critical                               bool
	}
	Logs []struct {
		TimeNs               int64 `json:",string"`
		Service, Level, Body string
	}
	Exemplars []struct {
		Series map[string]string
		Value  float64
	}
	Gaps     []struct{ Kind, Message string }
	Requests []requestRow
	Alerts   []struct {
		Labels   map[string]string
		State    string
		StartsNs int64 `json:",string"`
	}
	Timeline []struct {
		What         string
		Index, Depth int
		TimeNs       int64 `json:",string"`
	}
	Cost struct{ Seconds float64 }
}

// Run prints the whole request.
func (c *correlateCmd) Run(ctx context.Context) error {
	q := url.Values{}
	if c.Kind != "" {
		q.Set("kind", c.Kind)
	}
	body, err := c.get(ctx, "/api/braid/v1/correlate/"+url.PathEscape(c.ID), q)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(body)
	}
	var w correlated
	if err := json.Unmarshal(body, &w); err != nil {
		return fmt.Errorf("cannot read the answer: %w", err)
	}
	out := bufio.NewWriter(os.Stdout)
	defer func() { _ = out.Flush() }()
	w.print(out, c.ID)
	return nil
}

func (w *correlated) print(out io.Writer, id string) {
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) }
	if len(w.Kinds) == 0 {
		p("Nothing carries the id %q.", id)
		for _, n := range w.Near {
			p("  known and like it: %s %s", n.Kind, n.ID)
		}
		for _, g := range w.Gaps {
			p("  %s", g.Message)
		}
		return
	}
	for _, k := range w.Kinds {
		p("%s %s", k.Kind, k.ID)
	}
	for _, k := range w.Aliases {
		p("  is also %s %s", k.Kind, k.ID)
	}
	if len(w.Requests) > 0 {
		p("\n%d requests:", len(w.Requests))
		for _, r := range w.Requests {
			p("%s %s  %10s  %-16s %-28s %s  %s", r.mark(), clock(r.StartNs), time.Duration(r.DurationNs), r.Service, r.Route, r.Status, r.id())
		}
		return
	}
	p("\nServices:")
	for _, s := range w.Services {
		p("  %-24s %d spans, %d logs, %d errors", s.Name, s.Spans, s.Logs, s.Errors)
	}
	p("\nTimeline:")
	for _, e := range w.Timeline {
		indent := strings.Repeat("  ", min(e.Depth, 30))
		switch e.What {
		case "span":
			s := w.Spans[e.Index]
			mark := " "
			if s.Status == "error" {
				mark = "!"
			}
			p("%s %s %s%s · %s  %s", clock(e.TimeNs), mark, indent, s.Service, s.Name, time.Duration(s.DurationNs))
		case "log":
			l := w.Logs[e.Index]
			p("%s   %s[%s] %s: %s", clock(e.TimeNs), indent, l.Level, l.Service, firstLine(l.Body))
		case "alert":
			a := w.Alerts[e.Index]
			p("%s ! alert %s %s", clock(e.TimeNs), a.Labels["alertname"], a.State)
		}
	}
	if len(w.Exemplars) > 0 {
		p("\nExemplars:")
		for _, e := range w.Exemplars {
			p("  %-12g %s", e.Value, seriesText(e.Series))
		}
	}
	for _, g := range w.Gaps {
		p("\nMissing: %s", g.Message)
	}
}

func clock(ns int64) string { return time.Unix(0, ns).Format("15:04:05.000") }

func firstLine(s string) string {
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		return s[:i] + " …"
	}
	return s
}

func seriesText(m map[string]string) string {
	var parts []string
	for k, v := range m {
		if k != "__name__" {
			parts = append(parts, fmt.Sprintf("%s=%q", k, v))
		}
	}
	sort.Strings(parts)
	return m["__name__"] + "{" + strings.Join(parts, ", ") + "}"
}
