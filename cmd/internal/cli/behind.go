package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// requestRow is a request in the native API's answers.
type requestRow struct {
	TraceID, RequestID, Service, Route, Status string
	StartNs, DurationNs                        int64 `json:",string"`
	Error                                      bool
	Spans, Errors, Logs                        int
}

// id is the trace, or, where there is none, the request id.
func (r *requestRow) id() string {
	if r.TraceID != "" {
		return r.TraceID
	}
	return r.RequestID
}

func (r *requestRow) mark() string {
	if r.Error {
		return "!"
	}
	return " "
}

type requestsCmd struct {
	clientFlags
	ID      string `arg:"" help:"Id of a user, a session, an order: whatever many requests carry."`
	Kind    string `help:"Kind of id: user, session, …"`
	Sort    string `help:"start, duration, status, service, route, error or spans; - before it reverses." default:"-start"`
	Limit   int    `help:"At most so many." default:"50"`
	Offset  int    `help:"Leave out so many first."`
	Service string `help:"Only requests that entered here."`
	Route   string `help:"Only requests of this route."`
	Status  string `help:"Only requests of this status."`
	Failed  bool   `help:"Only requests with an error."`
}

// Run lists the requests that carry an id.
func (c *requestsCmd) Run(ctx context.Context) error {
	q := url.Values{"sort": {c.Sort}, "limit": {strconv.Itoa(c.Limit)}, "offset": {strconv.Itoa(c.Offset)}}
	for name, v := range map[string]string{"kind": c.Kind, "service": c.Service, "route": c.Route, "status": c.Status} {
		if v != "" {
			q.Set(name, v)
		}
	}
	if c.Failed {
		q.Set("error", "true")
	}
	body, err := c.get(ctx, "/api/braid/v1/requests/"+url.PathEscape(c.ID), q)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(body)
	}
	var list struct {
		Requests []requestRow
		Total    int
		Warnings []string
		Facets   []struct {
			Field  string
			Values []struct {
				Value string
				Count int64 `json:",string"`
			}
		}
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return fmt.Errorf("cannot read the answer: %w", err)
	}
	out := bufio.NewWriter(os.Stdout)
	defer func() { _ = out.Flush() }()
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "  start\tduration\tservice\troute\tstatus\tid")
	for i := range list.Requests {
		r := &list.Requests[i]
		_, _ = fmt.Fprintf(w, "%s %s\t%s\t%s\t%s\t%s\t%s\n", r.mark(), clock(r.StartNs), time.Duration(r.DurationNs), r.Service, r.Route, r.Status, r.id())
	}
	_ = w.Flush()
	_, _ = fmt.Fprintf(out, "%d of %d requests\n", len(list.Requests), list.Total)
	for _, f := range list.Facets {
		var values []string
		for _, v := range f.Values[:min(8, len(f.Values))] {
			values = append(values, fmt.Sprintf("%s %d", v.Value, v.Count))
		}
		_, _ = fmt.Fprintf(out, "%s: %s\n", f.Field, strings.Join(values, ", "))
	}
	printWarnings(out, list.Warnings)
	return nil
}

func printWarnings(out io.Writer, warnings []string) {
	for _, w := range warnings {
		_, _ = fmt.Fprintln(out, "warning:", w)
	}
}

// window returns the range back from now, as the API takes it.
func (w *windowFlags) window() (start, end string) {
	now := time.Now()
	return strconv.FormatInt(now.Add(-w.Since).UnixNano(), 10), strconv.FormatInt(now.UnixNano(), 10)
}

type behindCmd struct {
	clientFlags
	windowFlags
	Expr  string `arg:"" help:"A PromQL expression, a TraceQL span filter { … } or a LogQL selector {app=\"x\"}."`
	In    string `help:"Language of the expression." enum:"promql,traceql,logql" default:"promql"`
	Limit int    `help:"At most so many." default:"20"`
}

// Run names the requests behind a number.
func (c *behindCmd) Run(ctx context.Context) error {
	start, end := c.window()
	body, err := c.post(ctx, "/api/braid/v1/requests-behind", map[string]any{c.In: c.Expr, "startNs": start, "endNs": end, "limit": c.Limit})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(body)
	}
	var got struct {
		Requests []struct {
			Request requestRow
			Value   float64
			Reason  string
			Series  map[string]string
		}
		Source   string
		Warnings []string
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return fmt.Errorf("cannot read the answer: %w", err)
	}
	out := bufio.NewWriter(os.Stdout)
	defer func() { _ = out.Flush() }()
	_, _ = fmt.Fprintf(out, "%d requests, from %s\n", len(got.Requests), got.Source)
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "  value\twhy\tstart\tduration\tservice\troute\tstatus\tid")
	for i := range got.Requests {
		b := &got.Requests[i]
		r := &b.Request
		_, _ = fmt.Fprintf(w, "%s %.4g\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.mark(), b.Value, b.Reason, clock(r.StartNs), time.Duration(r.DurationNs), r.Service, r.Route, r.Status, r.id())
	}
	_ = w.Flush()
	printWarnings(out, got.Warnings)
	return nil
}

type outliersCmd struct {
	clientFlags
	windowFlags
	Selection string        `arg:"" help:"Which rows are to be explained: a TraceQL span filter, or, with --logs, a LogQL selector."`
	Baseline  string        `help:"What to compare with; everything else by default."`
	Logs      bool          `help:"Compare log records instead of spans."`
	Slower    time.Duration `help:"Only spans that lasted so long or longer."`
	Limit     int           `help:"At most so many attributes." default:"20"`
}

// Run says what is different about a selection.
func (c *outliersCmd) Run(ctx context.Context) error {
	start, end := c.window()
	signal := "traces"
	if c.Logs {
		signal = "logs"
	}
	body, err := c.post(ctx, "/api/braid/v1/outliers", map[string]any{"signal": signal, "selection": c.Selection, "baseline": c.Baseline,
		"startNs": start, "endNs": end, "minDurationNs": strconv.FormatInt(c.Slower.Nanoseconds(), 10), "limit": c.Limit})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(body)
	}
	var got struct {
		Outliers []struct {
			Field, Value                         string
			SelectionCount, BaselineCount        int64 `json:",string"`
			SelectionShare, BaselineShare, Score float64
			Error                                float64
		}
		SelectionRows, BaselineRows, SelectionTotal, BaselineTotal int64 `json:",string"`
		Sampled                                                    bool
		Error                                                      float64
		Warnings                                                   []string
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return fmt.Errorf("cannot read the answer: %w", err)
	}
	out := bufio.NewWriter(os.Stdout)
	defer func() { _ = out.Flush() }()
	_, _ = fmt.Fprintf(out, "%d selected, %d others", got.SelectionTotal, got.BaselineTotal)
	if got.Sampled {
		_, _ = fmt.Fprintf(out, "; %d and %d of them were read: shares are right to ±%.1f %%", got.SelectionRows, got.BaselineRows, 100*got.Error)
	}
	_, _ = fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "selected\tothers\tz\tattribute")
	for _, o := range got.Outliers {
		_, _ = fmt.Fprintf(w, "%.1f %%\t%.1f %%\t%+.1f\t%s = %s\n", 100*o.SelectionShare, 100*o.BaselineShare, o.Score, o.Field, firstLine(o.Value))
	}
	_ = w.Flush()
	printWarnings(out, got.Warnings)
	return nil
}
