package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"time"

	commonmodel "github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"braid/cmd/internal/ruletest"
	"braid/pkg/alert/rule"
)

// ruleParser reads what the server reads.
func ruleParser() parser.Parser {
	return parser.NewParser(parser.Options{EnableExperimentalFunctions: true})
}

type testCmd struct {
	Rules testRulesCmd `cmd:"" help:"Run unit tests of rules: promtool's files, with log records and spans as further input."`
}

type testRulesCmd struct {
	Files []string `arg:"" type:"path" help:"Files of tests."`
	Only  string   `name:"run" help:"Run only the tests whose name matches." placeholder:"REGEXP"`
}

// Run says which tests fail and how.
func (c *testRulesCmd) Run(ctx context.Context) error {
	re, err := regexp.Compile(c.Only)
	if err != nil {
		return fmt.Errorf("--run: %w", err)
	}
	failed := 0
	for _, path := range c.Files {
		f, err := ruletest.Load(path)
		if err != nil {
			return err
		}
		failures, err := f.Run(ctx, ruleParser(), re.MatchString)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, x := range failures {
			fmt.Printf("%s: %s\n", path, x.Error())
		}
		if failed += len(failures); len(failures) == 0 {
			fmt.Println(path, "passes")
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d expectations are not met", failed)
	}
	return nil
}

type replayCmd struct {
	Rule replayRuleCmd `cmd:"" help:"Say when alerting rules would have fired, by the data that a running Braid holds."`
}

type replayRuleCmd struct {
	clientFlags
	File     string        `arg:"" type:"existingfile" help:"A rule file."`
	Name     string        `help:"Only the alerts whose name matches." placeholder:"REGEXP"`
	Since    time.Duration `help:"How far back to begin." default:"168h"`
	Interval time.Duration `help:"Interval of groups that name none." default:"1m"`
}

// Run prints when each alert would have been pending, firing and resolved.
func (c *replayRuleCmd) Run(ctx context.Context) error {
	name, err := regexp.Compile(c.Name)
	if err != nil {
		return fmt.Errorf("--name: %w", err)
	}
	groups, errs := rulefmt.ParseFile(c.File, false, commonmodel.UTF8Validation, ruleParser(), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		return fmt.Errorf("rule file %s: %w", c.File, errs[0])
	}
	end := time.Now()
	found := false
	for _, g := range groups.Groups {
		interval := time.Duration(g.Interval)
		if interval == 0 {
			interval = c.Interval
		}
		for _, r := range g.Rules {
			if r.Alert == "" || !name.MatchString(r.Alert) {
				continue
			}
			found = true
			w := rule.Window{Start: end.Add(-c.Since), End: end, Interval: interval}
			list, err := rule.Replay(ctx, ruleParser(), r, g.Labels, w, c.ask)
			if err != nil {
				return fmt.Errorf("alert %q: %w", r.Alert, err)
			}
			printReplay(r.Alert, w, list)
		}
	}
	if !found {
		return fmt.Errorf("%s has no alert whose name matches %q", c.File, c.Name)
	}
	return nil
}

func printReplay(alert string, w rule.Window, list []rule.Firing) {
	total := time.Duration(0)
	for _, f := range list {
		total += f.End.Sub(f.Fired)
	}
	fmt.Printf("%s: would have fired %d times, for %s in all, in %s\n", alert, len(list), total.Round(time.Second), w.End.Sub(w.Start))
	for _, f := range list {
		end := f.End.Local().Format("2006-01-02 15:04:05")
		if f.Open {
			end = "still firing"
		}
		fmt.Printf("  pending %s  firing %s  until %s  peak %g  %s\n", f.Pending.Local().Format("2006-01-02 15:04:05"),
			f.Fired.Local().Format("15:04:05"), end, f.Peak, f.Labels)
	}
}

// ask gets the course of an expression from the server.
func (c *replayRuleCmd) ask(ctx context.Context, expr string, start, end time.Time, step time.Duration) (promql.Matrix, error) {
	body, err := c.get(ctx, "/api/v1/query_range", url.Values{"query": {expr}, "start": {seconds(start)}, "end": {seconds(end)},
		"step": {fmt.Sprintf("%gs", step.Seconds())}})
	if err != nil {
		return nil, err
	}
	var res struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Values []commonmodel.SamplePair
			}
		}
	}
	if err := json.NewDecoder(strings.NewReader(string(body))).Decode(&res); err != nil {
		return nil, fmt.Errorf("cannot read the answer: %w", err)
	}
	var out promql.Matrix
	for _, s := range res.Data.Result {
		one := promql.Series{Metric: labels.FromMap(s.Metric)}
		for _, p := range s.Values {
			one.Floats = append(one.Floats, promql.FPoint{T: int64(p.Timestamp), F: float64(p.Value)})
		}
		out = append(out, one)
	}
	return out, nil
}
