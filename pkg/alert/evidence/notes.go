package evidence

import (
	"fmt"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"
)

// The annotations that carry evidence in pages. Each is plain text of at most
// maxNoteBytes; absent when there is nothing to say.
const (
	NoteURL       = "braid_evidence_url"
	NoteValues    = "braid_values"
	NoteRequests  = "braid_requests"
	NoteLogs      = "braid_logs"
	NoteDifferent = "braid_different"
)

const (
	maxNoteBytes    = 2500 // Slack cuts a text block at 3,000 characters
	notedRequests   = 5
	notedLogs       = 10
	notedLineBytes  = 240
	notedDifferent  = 5
	notedValues     = 5
	requestsOfPack  = 10
	logsOfPack      = 10
	differentOfPack = 10
)

// notes turns a pack into annotations. What we write ourselves holds no colon
// before a space: Alertmanager would read it as YAML in PagerDuty's details.
func notes(p *Pack, page string) map[string]string {
	out := map[string]string{NoteURL: page}
	set := func(name string, lines []string) {
		if len(lines) > 0 {
			out[name] = cut(strings.Join(lines, "\n"), maxNoteBytes)
		}
	}
	set(NoteValues, valueNotes(p.Values))
	set(NoteRequests, requestNotes(p.Requests))
	set(NoteLogs, logNotes(p.Logs))
	set(NoteDifferent, differenceNotes(p.Different))
	return out
}

func valueNotes(list []Series) (out []string) {
	for _, s := range list[:min(len(list), notedValues)] {
		if len(s.Points) == 0 {
			continue
		}
		first, last := s.Points[0], s.Points[len(s.Points)-1]
		lo, hi := first.V, first.V
		for _, p := range s.Points {
			lo, hi = min(lo, p.V), max(hi, p.V)
		}
		out = append(out, fmt.Sprintf("%s = %s (%s to %s since %s)", seriesText(s.Labels), number(last.V), number(lo), number(hi),
			time.UnixMilli(first.T).UTC().Format("15:04:05 UTC")))
	}
	return out
}

func requestNotes(list []Request) (out []string) {
	for _, r := range list[:min(len(list), notedRequests)] {
		what := strings.TrimSpace(clean(r.Service + " " + r.Route))
		state := r.Status
		if r.Error && !strings.Contains(strings.ToLower(state), "err") {
			state = strings.TrimSpace(state + " error")
		}
		out = append(out, fmt.Sprintf("%s %s, %s, %s (%s)", first(r.TraceID, r.RequestID), what,
			time.Duration(r.DurationNs).Round(time.Microsecond), clean(state), r.Reason))
	}
	return out
}

func logNotes(list []Line) (out []string) {
	for _, l := range list[:min(len(list), notedLogs)] {
		times := ""
		if l.Count > 1 {
			times = fmt.Sprintf(" (×%d)", l.Count)
		}
		out = append(out, fmt.Sprintf("[%s] %s: %s%s", l.Level, clean(l.Service), cut(clean(l.Text), notedLineBytes), times))
	}
	return out
}

func differenceNotes(list []Difference) (out []string) {
	for _, d := range list[:min(len(list), notedDifferent)] {
		out = append(out, fmt.Sprintf("%s = %s (%.0f %% of these, %.0f %% of the rest)", clean(d.Field), cut(clean(d.Value), 120), d.Share*100, d.Rest*100))
	}
	return out
}

func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return "-"
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

func seriesText(m map[string]string) string {
	names := make([]string, 0, len(m))
	for k := range m {
		names = append(names, k)
	}
	sort.Strings(names)
	var parts []string
	for _, k := range names {
		parts = append(parts, clean(k)+"="+clean(m[k]))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// clean takes line breaks, terminal control and what turns the direction of
// text out of data that somebody else wrote: a page is read in trust.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < ' ' || r == 0x7f:
			return ' '
		case r >= 0x80 && r < 0xa0, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// links opens exactly what the pack speaks of.
func links(base *url.URL, q Question, p *Pack) (out []Link) {
	from, to := strconv.FormatInt(p.From.UnixMilli(), 10), strconv.FormatInt(p.To.UnixMilli(), 10)
	out = append(out, Link{"The values", page(base, "/explore/metrics", "q", q.Expr, "from", from, "to", to)})
	if p.LogQuery != "" {
		out = append(out, Link{"The log lines", page(base, "/explore/logs", "q", p.LogQuery, "from", from, "to", to)})
	}
	for i := range p.Requests {
		r := &p.Requests[i]
		r.Link = page(base, "/request/"+url.PathEscape(first(r.TraceID, r.RequestID)))
		if i < notedRequests {
			out = append(out, Link{"Request " + first(r.TraceID, r.RequestID), r.Link})
		}
	}
	return out
}

// page makes the address of a page of the UI; params are names and values by
// turns.
func page(base *url.URL, path string, params ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(params); i += 2 {
		q.Set(params[i], params[i+1])
	}
	out := strings.TrimSuffix(base.String(), "/") + path
	if len(q) > 0 {
		out += "?" + q.Encode()
	}
	return out
}
