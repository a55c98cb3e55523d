package correlation

import (
	"regexp"
	"strings"

	"braid/pkg/model"
)

// readings returns what a text may be, as keys to look up: every reading of a
// trace id, and the canonical text under any other kind (Kind "").
func readings(text, kind string) []model.CorrelationKey {
	var out []model.CorrelationKey
	if kind == "" || kind == model.KeyTrace {
		for _, id := range model.TraceIDReadings(text) {
			out = append(out, model.CorrelationKey{Kind: model.KeyTrace, ID: id.String()})
		}
	}
	if kind != model.KeyTrace {
		// All kinds but trace share one canonical form.
		if id := model.Canonical(model.KeyRequest, text); id != "" {
			out = append(out, model.CorrelationKey{Kind: kind, ID: id})
		}
	}
	return out
}

// followed reports whether ids of a kind name one request, so that what they
// lead to belongs to the same whole. A user or a session names many.
func followed(kind string) bool { return kind == model.KeyTrace || kind == model.KeyRequest }

// tokenPattern finds what looks like an id inside a pasted URL, log line or
// stack trace: UUIDs, and runs of id characters with a digit in them.
var tokenPattern = regexp.MustCompile(`[A-Za-z0-9][A-Za-z0-9_.:-]{5,}[A-Za-z0-9]`)

// maxTokens bounds the look-ups that one pasted text can cause.
const maxTokens = 12

// tokens extracts candidate ids from a text, the longest id-like first come.
func tokens(text string) []string {
	seen := map[string]bool{text: true}
	var out []string
	add := func(s string) {
		if len(out) < maxTokens && s != "" && !seen[s] && strings.ContainsAny(s, "0123456789") {
			seen[s] = true
			out = append(out, s)
		}
	}
	if len(text) <= 256 { // an id in the wrong case
		add(strings.ToLower(text))
		add(strings.ToUpper(text))
	}
	for _, m := range tokenPattern.FindAllString(text, 4*maxTokens) {
		add(m)
		for _, part := range strings.FieldsFunc(m, func(r rune) bool { return r == ':' || r == '.' }) {
			if len(part) >= 8 {
				add(part)
			}
		}
	}
	return out
}
