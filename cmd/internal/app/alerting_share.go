package app

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"

	"braid/pkg/alert/notify"
	"braid/pkg/alert/shared"
	"braid/pkg/tenant"
)

// sharing is what alerters that page as one tell each other of what their APIs
// have set: rule groups, and Alertmanager configurations.
type sharing struct {
	name              string // of this alerter, in its changes
	groups, receivers *shared.Set
}

func (al *alerting) share(log *slog.Logger) {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails
	al.name = hex.EncodeToString(id)
	al.groups = shared.New(shared.Options{Name: "rules", Records: func() ([]shared.Record, error) { return al.store.Records() }, Take: al.takeGroups,
		Logger: log, Registerer: al.a.reg})
	al.receivers = shared.New(shared.Options{Name: "receivers", Records: al.settingsRecords, Take: al.takeSettings, Logger: log, Registerer: al.a.reg})
}

// takeGroups puts in force what another alerter's API has set. One group that
// cannot be loaded must not keep the others back.
func (al *alerting) takeGroups(records []shared.Record) {
	if al.takeTogether(records) == nil {
		return
	}
	for i := range records {
		if err := al.takeTogether(records[i : i+1]); err != nil {
			al.a.log.Error("cannot take a rule group that was set at another alerter", "group", records[i].Key, "err", err)
		}
	}
}

func (al *alerting) takeTogether(records []shared.Record) error {
	list, err := al.store.Take(records)
	errs := []error{err}
	for i := range list {
		if err := al.load(list[i].Tenant); err != nil {
			errs = append(errs, fmt.Errorf("tenant %q: %w", list[i].Tenant, err), list[i].Undo())
			continue
		}
		al.a.log.Info("rules that were set at another alerter are in force", "tenant", list[i].Tenant, "groups", len(list[i].Changes))
	}
	return errors.Join(errs...)
}

// settingsRecords are the Alertmanager configurations of all tenants. Where the
// operator does not allow them they are not told either.
func (al *alerting) settingsRecords() (out []shared.Record, err error) {
	if !al.policy.Load().API {
		return nil, nil
	}
	al.mu.Lock()
	defer al.mu.Unlock()
	for t, x := range al.tenants {
		if r := x.manager.Record(); r != nil {
			out = append(out, settingsRecord(t, r))
		}
	}
	return out, nil
}

func settingsRecord(t tenant.ID, r *shared.Record) shared.Record {
	out := *r
	out.Key = string(t)
	return out
}

// told tells the others of a tenant's configuration when it was changed.
func (al *alerting) told(t tenant.ID, x *tenantAlerts, err error) error {
	if err == nil {
		al.receivers.Tell([]shared.Record{settingsRecord(t, x.manager.Record())})
	}
	return err
}

func (al *alerting) takeSettings(records []shared.Record) {
	if !al.policy.Load().API || al.outside != nil {
		return // here the operator's own configuration is in force
	}
	for _, r := range records {
		t, err := tenant.Parse(r.Key)
		var x *tenantAlerts
		if err == nil {
			x, err = al.tenant(t)
		}
		if err == nil {
			err = x.manager.Take(r)
		}
		if err != nil && !errors.Is(err, notify.ErrForbidden) {
			al.a.log.Error("cannot take an Alertmanager configuration that was set at another alerter", "tenant", r.Key, "err", err)
		}
	}
}
