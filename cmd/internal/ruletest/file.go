package ruletest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	commonmodel "github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// File is a file of unit tests. Without input_logs and input_spans it is
// promtool's.
type File struct {
	RuleFiles          []string             `yaml:"rule_files"`
	EvaluationInterval commonmodel.Duration `yaml:"evaluation_interval"`
	GroupEvalOrder     []string             `yaml:"group_eval_order"`
	FuzzyCompare       bool                 `yaml:"fuzzy_compare"`
	Tests              []Test               `yaml:"tests"`
}

// Test is one test group.
type Test struct {
	Name            string               `yaml:"name"`
	Interval        commonmodel.Duration `yaml:"interval"`
	StartTimestamp  startTime            `yaml:"start_timestamp"`
	InputSeries     []inputSeries        `yaml:"input_series"`
	InputLogs       []inputLogs          `yaml:"input_logs"`
	InputSpans      []inputSpans         `yaml:"input_spans"`
	AlertRuleTests  []alertTest          `yaml:"alert_rule_test"`
	PromqlExprTests []exprTest           `yaml:"promql_expr_test"`
	ExternalLabels  map[string]string    `yaml:"external_labels"`
	ExternalURL     string               `yaml:"external_url"`
}

type inputSeries struct {
	Series string `yaml:"series"`
	Values string `yaml:"values"`
}

// repeat says when something happens: once at At, or from At to Until every
// Every. Times are counted from the start of the test.
type repeat struct {
	At    commonmodel.Duration `yaml:"at"`
	Every commonmodel.Duration `yaml:"every"`
	Until commonmodel.Duration `yaml:"until"`
}

// maxRepeats bounds what one entry makes.
const maxRepeats = 100_000

func (r repeat) times() ([]time.Duration, error) {
	at, every, until := time.Duration(r.At), time.Duration(r.Every), time.Duration(r.Until)
	if every <= 0 {
		return []time.Duration{at}, nil
	}
	if (until-at)/every > maxRepeats {
		return nil, fmt.Errorf("every %s until %s makes more than %d", every, until, maxRepeats)
	}
	var out []time.Duration
	for ; at <= until; at += every {
		out = append(out, at)
	}
	return out, nil
}

// inputLogs are records: the same line once, or again and again.
type inputLogs struct {
	repeat     `yaml:",inline"`
	Resource   map[string]string `yaml:"resource"` // service.name and others
	Attributes map[string]string `yaml:"attributes"`
	Level      string            `yaml:"level"` // trace, debug, info, warn, error, fatal
	Line       string            `yaml:"line"`
	TraceID    string            `yaml:"trace_id"`
}

// inputSpans are spans, each a trace of its own.
type inputSpans struct {
	repeat     `yaml:",inline"`
	Resource   map[string]string    `yaml:"resource"`
	Attributes map[string]string    `yaml:"attributes"`
	Name       string               `yaml:"name"`
	Kind       string               `yaml:"kind"`   // server, client, producer, consumer, internal
	Status     string               `yaml:"status"` // ok, error
	Duration   commonmodel.Duration `yaml:"duration"`
}

type alertTest struct {
	EvalTime  commonmodel.Duration `yaml:"eval_time"`
	Alertname string               `yaml:"alertname"`
	ExpAlerts []struct {
		ExpLabels      map[string]string `yaml:"exp_labels"`
		ExpAnnotations map[string]string `yaml:"exp_annotations"`
	} `yaml:"exp_alerts"`
}

type exprTest struct {
	Expr       string               `yaml:"expr"`
	EvalTime   commonmodel.Duration `yaml:"eval_time"`
	ExpSamples []struct {
		Labels    string  `yaml:"labels"`
		Value     float64 `yaml:"value"`
		Histogram string  `yaml:"histogram"`
	} `yaml:"exp_samples"`
}

// startTime is RFC 3339 or Unix seconds.
type startTime struct{ time.Time }

// UnmarshalYAML implements yaml.Unmarshaler.
func (s *startTime) UnmarshalYAML(n *yaml.Node) error {
	if t, err := time.Parse(time.RFC3339Nano, n.Value); err == nil {
		s.Time = t.UTC()
		return nil
	}
	sec, err := strconv.ParseFloat(n.Value, 64)
	if err != nil {
		return fmt.Errorf("line %d: start_timestamp %q: give RFC 3339 or Unix seconds", n.Line, n.Value)
	}
	s.Time = time.UnixMilli(int64(sec * 1000)).UTC()
	return nil
}

// Load reads a file of tests; the paths of rule files are relative to it.
func Load(path string) (*File, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var files []string
	for _, p := range f.RuleFiles {
		if !filepath.IsAbs(p) {
			p = filepath.Join(filepath.Dir(path), p)
		}
		list, err := filepath.Glob(p)
		if err != nil {
			return nil, fmt.Errorf("%s: rule_files %q: %w", path, p, err)
		}
		if len(list) == 0 {
			return nil, fmt.Errorf("%s: rule_files %q names no file", path, p)
		}
		files = append(files, list...)
	}
	f.RuleFiles = files
	return f, nil
}

// Parse reads the text of a file strictly.
func Parse(b []byte) (*File, error) {
	var f File
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil {
		return nil, err
	}
	if f.EvaluationInterval <= 0 {
		f.EvaluationInterval = commonmodel.Duration(time.Minute)
	}
	for i := range f.Tests {
		t := &f.Tests[i]
		if t.Interval <= 0 {
			t.Interval = f.EvaluationInterval
		}
		if t.StartTimestamp.IsZero() {
			t.StartTimestamp.Time = time.Unix(0, 0).UTC()
		}
		if t.Name == "" {
			t.Name = fmt.Sprintf("test %d", i+1)
		}
	}
	return &f, nil
}
