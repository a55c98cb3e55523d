package lokipush

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"braid/pkg/model"
)

// ParseLabels reads a stream's labels as Prometheus writes them:
// {job="x", app="y"}.
func ParseLabels(s string) (model.Attrs, error) {
	rest := strings.TrimSpace(s)
	if !strings.HasPrefix(rest, "{") || !strings.HasSuffix(rest, "}") || len(rest) < 2 {
		return nil, fmt.Errorf("labels %q are not in braces", shorten(s))
	}
	rest = strings.TrimSpace(rest[1 : len(rest)-1])
	var out model.Attrs
	for rest != "" {
		name, after, ok := strings.Cut(rest, "=")
		name = strings.TrimSpace(name)
		after = strings.TrimLeft(after, " \t\n")
		if !ok || !labelName(name) {
			return nil, fmt.Errorf("labels %q: %q is not a label's name", shorten(s), shorten(name))
		}
		quoted, err := strconv.QuotedPrefix(after)
		if err != nil {
			return nil, fmt.Errorf("labels %q: the value of %q is not quoted", shorten(s), shorten(name))
		}
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, fmt.Errorf("labels %q: the value of %q: %w", shorten(s), shorten(name), err)
		}
		if out = add(out, name, strings.ToValidUTF8(value, "\uFFFD")); len(out) > maxLabels {
			return nil, errLabels
		}
		rest = strings.TrimLeft(after[len(quoted):], " \t\n")
		if rest == "" {
			break
		}
		if rest[0] != ',' {
			return nil, fmt.Errorf("labels %q: a comma is missing after %q", shorten(s), shorten(name))
		}
		rest = strings.TrimSpace(rest[1:])
	}
	return out, nil
}

func labelName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9' {
			continue
		}
		return false
	}
	return s != ""
}

func shorten(s string) string { return strings.ToValidUTF8(s[:min(len(s), 100)], "") }

// fromMap makes attributes of a JSON object, sorted: Go's maps have no order.
func fromMap(m map[string]string) model.Attrs {
	var out model.Attrs
	for k, v := range m {
		if k != "" {
			out = append(out, model.Attr{Key: k, Value: model.String(v)})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Key < out[j].Key })
	return out
}
