package alertapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"braid/pkg/alert/rule"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{model.ErrInvalid}, args...)...)
}

// maxBody bounds a rule group.
const maxBody = 1 << 20

// list answers all namespaces, or one, as YAML: namespace to groups.
func (a *API) list(d rule.Dialect) handler {
	return func(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
		names := []string{r.PathValue("namespace")}
		if names[0] == "" {
			var err error
			if names, err = a.o.Store.Namespaces(t, d); err != nil {
				return err
			}
			if len(names) == 0 && d == rule.Logs { // as Loki has it
				return fmt.Errorf("no rule groups found: %w", model.ErrNotFound)
			}
		}
		out := map[string][]rulefmt.RuleGroup{}
		for _, n := range names {
			groups, err := a.o.Store.Groups(t, d, n)
			if err != nil {
				return err
			}
			for i := range groups {
				shown(d, &groups[i])
			}
			out[n] = groups
		}
		return writeYAML(w, out)
	}
}

func (a *API) get(d rule.Dialect) handler {
	return func(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
		g, err := a.o.Store.Group(t, d, r.PathValue("namespace"), r.PathValue("group"))
		if err != nil {
			return err
		}
		shown(d, &g)
		return writeYAML(w, g)
	}
}

func writeYAML(w http.ResponseWriter, v any) error {
	b, err := yaml.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot encode rules: %w", err)
	}
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(b)
	return nil
}

func (a *API) set(d rule.Dialect) handler {
	return func(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
		g, err := readGroup(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			return err
		}
		if err := a.kept(d, &g); err != nil {
			return err
		}
		undo, err := a.o.Store.SetGroup(t, d, r.PathValue("namespace"), g)
		if err != nil {
			return err
		}
		return a.load(w, r.Context(), t, undo)
	}
}

func readGroup(body io.Reader) (g rulefmt.RuleGroup, err error) {
	dec := yaml.NewDecoder(body)
	dec.KnownFields(true)
	if err := dec.Decode(&g); err != nil {
		return g, invalid("cannot read the rule group as YAML: %v", err)
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return g, invalid("the body holds more than one rule group: post one at a time")
	}
	return g, nil
}

func (a *API) remove(d rule.Dialect) handler {
	return func(w http.ResponseWriter, r *http.Request, t tenant.ID) error {
		ns, group := r.PathValue("namespace"), r.PathValue("group")
		var undo func() error
		var err error
		if group == "" {
			undo, err = a.o.Store.DeleteNamespace(t, d, ns)
		} else {
			undo, err = a.o.Store.DeleteGroup(t, d, ns, group)
		}
		if err != nil {
			return err
		}
		return a.load(w, r.Context(), t, undo)
	}
}

// load puts a change into force, or takes it back.
func (a *API) load(w http.ResponseWriter, ctx context.Context, t tenant.ID, undo func() error) error {
	if err := a.o.Changed(ctx, t); err != nil {
		if back := undo(); back != nil {
			return fmt.Errorf("the rules cannot be loaded (%w), and the change could not be taken back: %w", err, back)
		}
		return invalid("the rules cannot be loaded, the old ones stay: %v", err)
	}
	writeJSON(w, http.StatusAccepted, map[string]any{"status": "success", "data": nil, "errorType": "", "error": ""})
	return nil
}

const logqlLabel = "__logql__"

// kept turns what came into what is stored: LogQL becomes a virtual selector.
func (a *API) kept(d rule.Dialect, g *rulefmt.RuleGroup) error {
	if d != rule.Logs {
		return nil
	}
	for i := range g.Rules {
		r := &g.Rules[i]
		if err := a.o.LogQL(r.Expr); err != nil {
			return invalid("group %q, rule %q: %v", g.Name, r.Record+r.Alert, err)
		}
		r.Expr = fmt.Sprintf("{%s=%q}", logqlLabel, r.Expr)
	}
	return nil
}

// shown turns what is stored back into what came.
func shown(d rule.Dialect, g *rulefmt.RuleGroup) {
	if d != rule.Logs {
		return
	}
	p := parser.NewParser(parser.Options{})
	for i := range g.Rules {
		e, err := p.ParseExpr(g.Rules[i].Expr)
		if err != nil {
			continue
		}
		v, ok := e.(*parser.VectorSelector)
		if ok && len(v.LabelMatchers) == 1 && v.LabelMatchers[0].Name == logqlLabel && v.LabelMatchers[0].Type == labels.MatchEqual {
			g.Rules[i].Expr = v.LabelMatchers[0].Value
		}
	}
}
