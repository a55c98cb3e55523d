package ingest

import (
	"strings"

	"braid/pkg/model"
)

// fields makes attributes of a log line that is itself structured, and finds the
// severity of a record that does not say it.
func (v *validator) fields(r *model.LogRecord) {
	if r.Body.Kind() == model.KindString {
		line := strings.TrimLeft(r.Body.Str(), " \t\r\n")
		switch {
		case line == "":
		case line[0] == '{' && !v.opts.KeepJSONText:
			r.Attrs = v.b.AddLeaves(line, r.Attrs)
		case v.opts.ParseLogfmt && strings.IndexByte(line, '=') > 0:
			r.Attrs = v.b.AddLogfmt(line, r.Attrs)
		}
	}
	if r.Severity == 0 && !v.opts.KeepSeverity {
		findSeverity(r)
	}
}
