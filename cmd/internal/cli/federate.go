package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

type federateCmd struct {
	clientFlags
	windowFlags
	Text    string `arg:"" help:"The query (docs/federation.md); - reads it from the standard input."`
	Limit   int    `help:"At most so many rows." default:"100"`
	Format  string `help:"Form of the answer." enum:"table,json,ndjson,csv,arrow" default:"table"`
	Explain bool   `help:"Show the plan instead of running it."`
}

// federated is the native API's answer.
type federated struct {
	Columns  []struct{ Name, Type string }
	Rows     []struct{ Values []string }
	Plan     string
	Warnings []string
}

// Run asks a query that joins signals and prints its rows.
func (c *federateCmd) Run(ctx context.Context) error {
	var err error
	if c.Text, err = textOrInput(c.Text); err != nil {
		return err
	}
	start, end := c.window()
	if c.Format != "table" && c.Format != "json" && !c.Explain {
		body, err := c.get(ctx, "/api/braid/v1/query."+c.Format, url.Values{"text": {c.Text}, "start_ns": {start}, "end_ns": {end}, "limit": {strconv.Itoa(c.Limit)}})
		if err != nil {
			return err
		}
		_, err = os.Stdout.Write(body)
		return err
	}
	body, err := c.post(ctx, "/api/braid/v1/query", map[string]any{"text": c.Text, "startNs": start, "endNs": end, "limit": c.Limit, "explain": c.Explain})
	if err != nil {
		return err
	}
	if c.JSON || c.Format == "json" {
		return printJSON(body)
	}
	var res federated
	if err := json.Unmarshal(body, &res); err != nil {
		return fmt.Errorf("cannot read the answer: %w", err)
	}
	if c.Explain {
		fmt.Print(res.Plan)
		return nil
	}
	return res.print(os.Stdout)
}

// textOrInput returns a text, or, for "-", what comes on the standard input.
func textOrInput(text string) (string, error) {
	if text != "-" {
		return text, nil
	}
	raw, err := io.ReadAll(io.LimitReader(os.Stdin, 1<<20))
	if err != nil {
		return "", fmt.Errorf("cannot read the query: %w", err)
	}
	return string(raw), nil
}

// print draws a table with times and durations as people read them.
func (f *federated) print(to io.Writer) error {
	out := bufio.NewWriter(to)
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	var names []string
	for _, c := range f.Columns {
		names = append(names, c.Name)
	}
	_, _ = fmt.Fprintln(w, strings.Join(names, "\t"))
	for _, r := range f.Rows {
		cells := make([]string, len(r.Values))
		for i, v := range r.Values {
			typ := ""
			if i < len(f.Columns) {
				typ = f.Columns[i].Type
			}
			cells[i] = cellText(typ, v)
		}
		_, _ = fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	_ = w.Flush()
	for _, warning := range f.Warnings {
		_, _ = fmt.Fprintln(out, "warning:", warning)
	}
	return out.Flush()
}

func cellText(typ, v string) string {
	switch n, err := strconv.ParseInt(v, 10, 64); {
	case err != nil:
	case typ == "time":
		return clock(n)
	case typ == "duration":
		return time.Duration(n).String()
	}
	return strings.ReplaceAll(firstLine(v), "\t", " ")
}

// post asks with a JSON body; an answer other than 200 is an error with its
// text.
func (c *clientFlags) post(ctx context.Context, path string, question any) ([]byte, error) {
	body, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.Addr, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	return c.do(r)
}
