// Package ingesttest gives tests of receivers a pipeline on a real ingest log in
// memory and stores that remember what they were given.
package ingesttest

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"braid/internal/vfs"
	"braid/pkg/ingest"
	"braid/pkg/ingestlog"
	"braid/pkg/model"
	"braid/pkg/otlp"
	"braid/pkg/tenant"
)

// Arrival is the clock of the pipeline.
var Arrival = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Store is a log and span store that keeps everything as OTLP JSON, and loses
// metrics.
type Store struct {
	mu sync.Mutex
	// logs and spans are guarded by mu.
	logs, spans map[tenant.ID][]string
}

// AppendLogs implements ingest.LogAppender.
func (s *Store) AppendLogs(_ context.Context, t tenant.ID, _ model.Position, l *model.Logs) (model.Rejections, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range l.Batches {
		for _, r := range b.Records {
			row := []model.LogRow{{Resource: b.Resource, Scope: b.Scope, LogRecord: r}}
			s.logs[t] = append(s.logs[t], string(otlp.EncodeLogsJSON(row)))
		}
	}
	return model.Rejections{}, nil
}

// AppendSpans implements ingest.SpanAppender.
func (s *Store) AppendSpans(_ context.Context, t tenant.ID, _ model.Position, v *model.Spans) (model.Rejections, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range v.Batches {
		for _, sp := range b.Spans {
			row := []model.SpanRow{{Resource: b.Resource, Scope: b.Scope, Span: sp}}
			s.spans[t] = append(s.spans[t], string(otlp.EncodeTracesJSON(row)))
		}
	}
	return model.Rejections{}, nil
}

// AppendMetrics implements ingest.MetricAppender.
func (s *Store) AppendMetrics(context.Context, tenant.ID, model.Position, *model.Metrics) (model.Rejections, error) {
	return model.Rejections{}, nil
}

// OldestNeeded implements the appenders: nothing is ever durable, so that a
// replay gives everything again.
func (s *Store) OldestNeeded() (model.Position, bool) { return 1, true }

// Logs returns the records of a tenant, one OTLP JSON text each.
func (s *Store) Logs(t tenant.ID) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.logs[t]...)
}

// Spans returns the spans of a tenant, one OTLP JSON text each.
func (s *Store) Spans(t tenant.ID) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.spans[t]...)
}

// Text joins Logs and Spans of the default tenant, a line each.
func (s *Store) Text() string {
	return strings.Join(append(s.Logs(tenant.Default), s.Spans(tenant.Default)...), "\n")
}

// Clear forgets everything, as a process does that dies.
func (s *Store) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logs, s.spans = map[tenant.ID][]string{}, map[tenant.ID][]string{}
}

// New opens a pipeline; the test's end closes it.
func New(t testing.TB) (*ingest.Pipeline, *Store) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	l, err := ingestlog.Open(ingestlog.Options{Dir: "/log", FS: vfs.NewCrashable(), SyncDelay: -1, ReserveBytes: -1, Logger: quiet})
	require.NoError(t, err)
	s := &Store{}
	s.Clear()
	p, err := ingest.New(ingest.Options{Log: ingest.OnLog(l), Logs: s, Spans: s, Metrics: s, Logger: quiet,
		Now: func() time.Time { return Arrival }, TrimEvery: time.Hour})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, p.Close(context.Background()))
		require.NoError(t, l.Close())
	})
	return p, s
}
