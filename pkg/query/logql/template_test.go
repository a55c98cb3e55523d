package logql_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"braid/pkg/model"
	"braid/pkg/query/logql"
)

// Every documented template function, on one record.
func TestTemplateFunctions(t *testing.T) {
	row := model.LogRow{LogRecord: model.LogRecord{Time: 1_700_000_000_123_456_789, Body: model.String("the line"), Attrs: model.Attrs{
		{Key: "word", Value: model.String("Hello World")}, {Key: "n", Value: model.String("7")}, {Key: "f", Value: model.String("2.5")},
		{Key: "size", Value: model.String("1.5 KiB")}, {Key: "took", Value: model.String("1m30s")}, {Key: "b64", Value: model.String("aGk=")},
		{Key: "json", Value: model.String(`{"a":[1,"x"],"b":{"c":true}}`)}, {Key: "day", Value: model.String("2023-11-14 22:13:20")}, {Key: "unix", Value: model.String("1700000000")},
		{Key: "path", Value: model.String("/a/b?q=1 2")}, {Key: "http.route", Value: model.String("/r")}, {Key: "pad", Value: model.String("  x ")}, {Key: "empty", Value: model.String("")},
	}}}
	golden(t, "templates.golden", func(tmpl string) string {
		sel, err := logql.ParseSelection("{} | line_format `" + tmpl + "`")
		if err != nil {
			return "error: " + err.Error()
		}
		tail, err := logql.NewTailer(sel)
		require.NoError(t, err)
		e := tail.Take([]model.LogRow{row})[0].Entries[0]
		if d := e.Parsed.Get("__error_details__"); d != "" {
			return "error: " + d
		}
		return e.Line
	})
}
