package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"braid/pkg/model"
)

// span of time asked for, back from now.
type windowFlags struct {
	Since time.Duration `help:"How far back to look." default:"1h"`
}

type queryCmd struct {
	clientFlags
	Expr    string        `arg:"" help:"A PromQL expression, or a query that joins signals, which begins with name = traces, logs or exemplars (docs/federation.md); - reads it from the standard input."`
	Since   time.Duration `help:"Ask over a range back from now, instead of now; a query that joins signals looks back an hour unless told."`
	Step    time.Duration `help:"Step of a PromQL range." default:"30s"`
	Limit   int           `help:"At most so many rows, of a query that joins signals." default:"100"`
	Format  string        `help:"Form of the answer, of a query that joins signals." enum:"table,json,ndjson,csv,arrow" default:"table"`
	Explain bool          `help:"Show the plan, of a query that joins signals, instead of running it."`
}

// joins matches the beginning of a query that joins signals, which is no PromQL.
var joins = regexp.MustCompile(`^(?:\s|#[^\n]*(?:\n|$))*[A-Za-z_][A-Za-z0-9_.]*\s*=\s*(?:traces|logs|exemplars)\b`)

// Run prints the result: a line a series, or a table of joined rows.
func (c *queryCmd) Run(ctx context.Context) error {
	var err error
	if c.Expr, err = textOrInput(c.Expr); err != nil {
		return err
	}
	if joins.MatchString(c.Expr) {
		f := federateCmd{clientFlags: c.clientFlags, windowFlags: windowFlags{Since: c.Since}, Text: c.Expr, Limit: c.Limit, Format: c.Format, Explain: c.Explain}
		if f.Since == 0 {
			f.Since = time.Hour
		}
		return f.Run(ctx)
	}
	q := url.Values{"query": {c.Expr}}
	path := "/api/v1/query"
	if c.Since > 0 {
		path = "/api/v1/query_range"
		now := time.Now()
		q.Set("start", seconds(now.Add(-c.Since)))
		q.Set("end", seconds(now))
		q.Set("step", strconv.FormatFloat(c.Step.Seconds(), 'f', -1, 64))
	}
	body, err := c.get(ctx, path, q)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(body)
	}
	var res struct {
		Data struct {
			ResultType string
			Result     json.RawMessage
		}
		Warnings []string
	}
	if err := json.Unmarshal(body, &res); err != nil {
		return fmt.Errorf("cannot read the answer: %w", err)
	}
	for _, w := range res.Warnings {
		fmt.Println("warning:", w)
	}
	var series []struct {
		Metric map[string]string
		Value  [2]any
		Values [][2]any
	}
	if json.Unmarshal(res.Data.Result, &series) != nil {
		fmt.Println(string(res.Data.Result)) // a scalar or a string
		return nil
	}
	for _, s := range series {
		if len(s.Values) == 0 {
			fmt.Printf("%s  %v\n", seriesText(s.Metric), s.Value[1])
			continue
		}
		fmt.Println(seriesText(s.Metric))
		for _, v := range s.Values {
			at, _ := v[0].(float64)
			fmt.Printf("  %s  %v\n", time.UnixMilli(int64(at*1000)).Format("15:04:05"), v[1])
		}
	}
	return nil
}

func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

type logsCmd struct {
	clientFlags
	windowFlags
	Expr  string `arg:"" help:"The query, for example '{service_name=\"cart\"} |= \"error\"'."`
	Limit int    `help:"At most so many lines." default:"100"`
}

// Run prints lines, oldest first.
func (c *logsCmd) Run(ctx context.Context) error {
	now := time.Now()
	q := url.Values{"query": {c.Expr}, "limit": {strconv.Itoa(c.Limit)}, "direction": {"backward"},
		"start": {strconv.FormatInt(now.Add(-c.Since).UnixNano(), 10)}, "end": {strconv.FormatInt(now.UnixNano(), 10)}}
	body, err := c.get(ctx, "/loki/api/v1/query_range", q)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(body)
	}
	var res struct {
		Data struct {
			ResultType string
			Result     []struct {
				Stream map[string]string
				Metric map[string]string
				Values [][]json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(body, &res); err != nil {
		return fmt.Errorf("cannot read the answer: %w", err)
	}
	if res.Data.ResultType != "streams" {
		return printJSON(body)
	}
	var lines []logLine
	for _, s := range res.Data.Result {
		for _, v := range s.Values {
			if len(v) < 2 {
				continue
			}
			var at, text string
			if json.Unmarshal(v[0], &at) != nil || json.Unmarshal(v[1], &text) != nil {
				continue
			}
			ns, _ := strconv.ParseInt(at, 10, 64)
			lines = append(lines, logLine{ns, s.Stream["service_name"], s.Stream["detected_level"], text})
		}
	}
	printLines(lines)
	return nil
}

type traceCmd struct {
	clientFlags
	windowFlags
	Query string `arg:"" help:"A TraceQL query, or a trace id."`
	Limit int    `help:"At most so many traces." default:"20"`
}

// Run lists traces, or shows one.
func (c *traceCmd) Run(ctx context.Context) error {
	if _, ok := model.ParseTraceID(c.Query); ok {
		show := correlateCmd{clientFlags: c.clientFlags, ID: c.Query, Kind: model.KeyTrace}
		return show.Run(ctx)
	}
	now := time.Now()
	body, err := c.get(ctx, "/api/search", url.Values{"q": {c.Query}, "limit": {strconv.Itoa(c.Limit)},
		"start": {strconv.FormatInt(now.Add(-c.Since).Unix(), 10)}, "end": {strconv.FormatInt(now.Unix()+1, 10)}})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(body)
	}
	var res struct {
		Traces []struct {
			TraceID, RootServiceName, RootTraceName string
			StartTimeUnixNano                       string
			DurationMs                              int64
		}
	}
	if err := json.Unmarshal(body, &res); err != nil {
		return fmt.Errorf("cannot read the answer: %w", err)
	}
	for _, t := range res.Traces {
		ns, _ := strconv.ParseInt(t.StartTimeUnixNano, 10, 64)
		fmt.Printf("%s  %s  %8dms  %s · %s\n", clock(ns), t.TraceID, t.DurationMs, t.RootServiceName, t.RootTraceName)
	}
	return nil
}
