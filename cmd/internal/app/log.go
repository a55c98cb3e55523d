package app

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"braid/cmd/internal/config"
)

// newLogger makes the program's log: to standard error, JSON unless a person
// reads it.
func (a *App) newLogger(c config.Log) *slog.Logger {
	a.setLevel(c.Level)
	opts := &slog.HandlerOptions{Level: &a.level}
	text := c.Format == "text"
	if c.Format == "auto" {
		info, err := os.Stderr.Stat()
		text = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	var h slog.Handler = slog.NewJSONHandler(os.Stderr, opts)
	if text {
		h = slog.NewTextHandler(os.Stderr, opts)
	}
	return slog.New(h).With("program", a.o.Role.String())
}

func (a *App) setLevel(name string) {
	// The configuration has been checked: the name is one of the four.
	_ = a.level.UnmarshalText([]byte(name))
}

// greet tells a person where things are.
func (a *App) greet() {
	var b strings.Builder
	fmt.Fprintf(&b, "\nBraid %s is ready.\n\n", a.o.Version)
	line := func(what, where string) { fmt.Fprintf(&b, "  %-28s %s\n", what, where) }
	if a.o.Role.has(Querier) {
		line("UI and every query API", a.url())
	} else {
		line("Health and metrics", a.url()+"/health")
	}
	if a.o.Role.has(Ingester) {
		line("Send OTLP/gRPC to", a.ports.otlpGRPC)
		line("Send OTLP/HTTP to", "http://"+a.ports.otlpHTTP)
	}
	line("gRPC", a.ports.grpc)
	if a.o.Role == Serve {
		fmt.Fprintf(&b, "\nNo data yet? In a second terminal: braid generate%s\n", a.generateFlags())
	}
	fmt.Fprintln(a.o.Out, b.String())
}

// generateFlags names the endpoint when it is not the usual one.
func (a *App) generateFlags() string {
	if a.ports.otlpHTTP == "127.0.0.1:4318" {
		return ""
	}
	return " --endpoint http://" + a.ports.otlpHTTP
}

// url is the address under which users reach this process.
func (a *App) url() string {
	if u := a.cfg.Load().ExternalURL; u != "" {
		return strings.TrimSuffix(u, "/")
	}
	scheme := "http"
	if a.cfg.Load().HTTP.TLS.CertFile != "" {
		scheme = "https"
	}
	return scheme + "://" + a.ports.http
}
