package ingest

import (
	"strings"

	"braid/pkg/model"
)

// fields makes attributes of a log line that is itself structured, and takes
// the severity from it when the record has none.
func (v *validator) fields(r *model.LogRecord) {
	structured := r.Body.Kind() == model.KindMap
	if r.Body.Kind() == model.KindString {
		line := strings.TrimLeft(r.Body.Str(), " \t\r\n")
		before := len(r.Attrs)
		switch {
		case line == "":
		case line[0] == '{' && !v.opts.KeepJSONText:
			r.Attrs = v.b.AddLeaves(line, r.Attrs)
		case v.opts.ParseLogfmt && strings.IndexByte(line, '=') > 0:
			r.Attrs = v.b.AddLogfmt(line, r.Attrs)
		}
		structured = len(r.Attrs) > before
	}
	if structured && r.Severity == 0 && r.SeverityText == "" {
		v.severity(r)
	}
}

// severityKeys are the names under which loggers write the level.
var severityKeys = []string{"level", "severity", "lvl", "log.level", "loglevel"}

func (v *validator) severity(r *model.LogRecord) {
	for _, key := range severityKeys {
		if val, ok := r.Attrs.Get(key); ok && val.Kind() == model.KindString {
			if n := SeverityOf(val.Str()); n != 0 {
				r.Severity, r.SeverityText = n, val.Str()
				return
			}
		}
	}
}

// SeverityOf reads a level by name, in any case; 0 when it is none.
func SeverityOf(text string) model.SeverityNumber {
	if len(text) > 16 {
		return 0
	}
	switch strings.ToLower(text) {
	case "trace":
		return 1
	case "debug", "dbg":
		return 5
	case "info", "information", "informational":
		return 9
	case "notice":
		return 10
	case "warn", "warning", "wrn":
		return 13
	case "error", "err", "eror":
		return 17
	case "critical", "crit":
		return 18
	case "alert":
		return 19
	case "fatal", "emergency", "emerg", "panic":
		return 21
	}
	return 0
}
