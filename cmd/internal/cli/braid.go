package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/prometheus/prometheus/promql/parser"

	"braid/cmd/internal/app"
	"braid/cmd/internal/config"
	"braid/pkg/alert/rule"
)

// braid is the command line of the program of that name.
type braid struct {
	Serve     serveCmd     `cmd:"" help:"Run everything in one process: ingest, query, UI, alerting."`
	Generate  generateCmd  `cmd:"" help:"Send realistic traffic of a microservice shop over OTLP."`
	Correlate correlateCmd `cmd:"" help:"Show everything that is known of one id: trace, request, session, user."`
	Requests  requestsCmd  `cmd:"" help:"List the requests of a user, a session, an order."`
	Behind    behindCmd    `cmd:"" help:"Name the requests behind a number: a PromQL expression over a window."`
	Outliers  outliersCmd  `cmd:"" help:"Say what is different about some spans or log records."`
	Query     queryCmd     `cmd:"" help:"Ask in PromQL, or join logs, traces and exemplars on a correlation id (docs/federation.md)."`
	Logs      logsCmd      `cmd:"" help:"Ask in LogQL."`
	Trace     traceCmd     `cmd:"" help:"Search traces in TraceQL, or show one by its id."`
	Federate  federateCmd  `cmd:"" help:"The same as query, for queries that join signals only."`
	Import    importCmd    `cmd:"" help:"Bring history in: OpenMetrics text, or the blocks of a Prometheus."`
	Check     checkCmd     `cmd:"" help:"Check files without starting."`
	Test      testCmd      `cmd:"" help:"Run tests of files."`
	Replay    replayCmd    `cmd:"" help:"Try rules on the past."`
	Version   versionCmd   `cmd:"" help:"Print the version."`
}

// Braid runs the program `braid`.
func Braid() {
	var cli braid
	k := kong.Parse(&cli, kong.Name("braid"), kong.UsageOnError(),
		kong.Description("Metrics, logs and traces, braided together by the request that they belong to."))
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	k.BindTo(ctx, (*context.Context)(nil))
	exit(k.Run())
}

type serveCmd struct{ ServerFlags }

// Run serves until a signal.
func (c *serveCmd) Run() error { return c.serve(app.Serve) }

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run() error {
	fmt.Println("braid", version())
	return nil
}

type checkCmd struct {
	Config checkConfigCmd `cmd:"" help:"Check a configuration file."`
	Rules  checkRulesCmd  `cmd:"" help:"Check Prometheus rule files."`
}

type checkConfigCmd struct {
	File string `arg:"" type:"path" help:"The file."`
}

// Run says what is wrong with the file, or that nothing is.
func (c *checkConfigCmd) Run() error {
	if _, err := config.Load(c.File); err != nil {
		return err
	}
	fmt.Println(c.File, "is valid")
	return nil
}

type checkRulesCmd struct {
	Files []string `arg:"" help:"Files or globs."`
}

// Run says what is wrong with the files, or that nothing is.
func (c *checkRulesCmd) Run() error {
	files, err := rule.Expand(c.Files)
	if err != nil {
		return err
	}
	if err := rule.Check(files, parser.NewParser(parser.Options{EnableExperimentalFunctions: true}), slog.New(slog.DiscardHandler), app.CheckVirtual); err != nil {
		return err
	}
	for _, f := range files {
		fmt.Println(f, "is valid")
	}
	return nil
}
