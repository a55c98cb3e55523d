package app

import (
	"fmt"
	"os"
	"path/filepath"

	"braid/cmd/internal/config"
	"braid/pkg/alert/notify"
	"braid/pkg/model"
	"braid/pkg/tenant"
)

// policyOf reads what the operator allows; it was checked when it was loaded.
func policyOf(c *config.Config) (*notify.Policy, error) {
	r := c.Alerting.Receivers
	allow, err := notify.ParseAllow(r.Allow)
	if err != nil {
		return nil, fmt.Errorf("alerting.receivers.allow: %w", err)
	}
	return &notify.Policy{API: r.API, Allow: allow, GuardFile: r.GuardFile}, nil
}

func (al *alerting) tenantDir(t string) string {
	return filepath.Join(al.a.dir("alerting"), "tenants", t)
}

// withSettings lists the tenants whose Alertmanager configuration was set by the
// API.
func (al *alerting) withSettings() (out []tenant.ID) {
	entries, err := os.ReadDir(al.tenantDir(""))
	if err != nil {
		return nil // none yet
	}
	for _, e := range entries {
		if t, err := tenant.Parse(e.Name()); err == nil && notify.HasSettings(al.tenantDir(e.Name())) {
			out = append(out, t)
		}
	}
	return out
}

// settings makes the tenants' Alertmanagers what the API keeps configurations
// in.
type settings struct{ al *alerting }

// Settings implements alertapi.Pager.
func (s settings) Settings(t tenant.ID) (notify.Settings, error) {
	if !s.al.policy.Load().API {
		t = tenant.Default // which says why
	}
	x := s.al.known(t)
	if x == nil {
		return notify.Settings{}, fmt.Errorf("tenant %q has no Alertmanager configuration of its own: %w", t, model.ErrNotFound)
	}
	return x.manager.Settings()
}

// Set implements alertapi.Pager.
func (s settings) Set(t tenant.ID, c notify.Settings) error {
	x, err := s.pager(t)
	if err != nil {
		return err
	}
	return s.al.told(t, x, x.manager.Set(c, s.al.name))
}

// Unset implements alertapi.Pager.
func (s settings) Unset(t tenant.ID) error {
	if s.al.policy.Load().API && s.al.known(t) == nil {
		_, err := s.Settings(t) // says that there is none, and makes none
		return err
	}
	x, err := s.pager(t)
	if err != nil {
		return err
	}
	return s.al.told(t, x, x.manager.Unset(s.al.name))
}

// pager returns a tenant's parts. What is not allowed must not make any.
func (s settings) pager(t tenant.ID) (*tenantAlerts, error) {
	switch {
	case s.al.outside != nil:
		return nil, fmt.Errorf("%w: Alertmanagers elsewhere page (alerting.alertmanager_urls): set the configuration there", notify.ErrForbidden)
	case !s.al.policy.Load().API:
		t = tenant.Default // which says why
	}
	return s.al.tenant(t)
}
