package ruletest

import (
	"context"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

func TestAllThreeSignals(t *testing.T) {
	f, err := Load("testdata/test.yml")
	require.NoError(t, err)
	p := parser.NewParser(parser.Options{})
	failures, err := f.Run(context.Background(), p, nil)
	require.NoError(t, err)
	for _, x := range failures {
		t.Error(x)
	}
	// It can fail.
	f.Tests[0].AlertRuleTests[0].EvalTime = f.Tests[0].AlertRuleTests[1].EvalTime
	f.Tests[0].PromqlExprTests[0].ExpSamples[0].Value = 2
	failures, err = f.Run(context.Background(), p, nil)
	require.NoError(t, err)
	require.Len(t, failures, 2)
	failures, err = f.Run(context.Background(), p, func(string) bool { return false })
	require.NoError(t, err)
	require.Empty(t, failures)
}

func TestRefusals(t *testing.T) {
	for text, want := range map[string]string{
		"tests: [{nonsense: 1}]":              "nonsense",
		"tests: [{start_timestamp: x}]":       "start_timestamp",
		"tests: [{input_logs: [{at: soon}]}]": "soon",
		"rule_files: [{}]":                    "line 1",
	} {
		_, err := Parse([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
	for text, want := range map[string]string{
		"tests: [{input_logs: [{level: loud}]}]":                       "level",
		"tests: [{input_spans: [{status: bad}]}]":                      "status",
		"tests: [{input_spans: [{kind: bad}]}]":                        "kind",
		"tests: [{input_logs: [{every: 1ms, until: 1d}]}]":             "more than",
		"tests: [{input_series: [{series: 'x{', values: '1'}]}]":       "input_series",
		"tests: [{promql_expr_test: [{expr: 'sum(', eval_time: 1m}]}]": "sum(",
	} {
		f, err := Parse([]byte(text))
		require.NoError(t, err, text)
		_, err = f.Run(context.Background(), parser.NewParser(parser.Options{}), nil)
		require.ErrorContains(t, err, want, text)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("tests: [{input_logs: [{line: x, at: 1m}]}]"))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = Parse(b) })
}
