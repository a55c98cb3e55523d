package app

import (
	"context"
	"fmt"
	"os"

	apiv1 "github.com/prometheus/prometheus/web/api/v1"

	"braid/pkg/scrape"
	"braid/pkg/tenant"
)

// openScrape begins to fetch metrics from the targets of a Prometheus
// configuration, if one is named.
func (a *App) openScrape(context.Context) error {
	if a.cfg.Load().Metrics.ScrapeConfig == "" {
		return nil
	}
	m, err := scrape.New(scrape.Options{Appendable: a.local.metrics.Appendable(tenant.Default), Logger: a.log.With("part", "scrape"), Registerer: a.reg})
	if err != nil {
		return err
	}
	a.scrape = m
	a.onStop("scraping", func(context.Context) error { m.Close(); return nil })
	return a.applyScrape(a.cfg.Load().Metrics.ScrapeConfig)
}

// maxScrapeConfig bounds the file.
const maxScrapeConfig = 16 << 20

// applyScrape reads the file (again); a broken one changes nothing.
func (a *App) applyScrape(file string) error {
	if a.scrape == nil || file == "" {
		return nil
	}
	info, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("metrics.scrape_config: %w", err)
	}
	if info.Size() > maxScrapeConfig {
		return fmt.Errorf("metrics.scrape_config: %s is larger than %d bytes", file, maxScrapeConfig)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("metrics.scrape_config: %w", err)
	}
	if err := a.scrape.Apply(text); err != nil {
		return fmt.Errorf("metrics.scrape_config %s: %w", file, err)
	}
	return nil
}

// targets gives the Prometheus API what is scraped: by the default tenant only.
func (a *App) targets(t tenant.ID) apiv1.TargetRetriever {
	if a.scrape == nil || t != tenant.Default {
		return nil
	}
	return a.scrape.Targets()
}
