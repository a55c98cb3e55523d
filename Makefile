# Braid. The two commands to know: make run, make test.

GO      ?= go
UI_OUT  := ui/dist/app/index.html.gz
UI_SRC  := $(shell find ui -type f -not -path '*/node_modules/*' -not -path 'ui/dist/*' -not -path 'ui/test-results/*' 2>/dev/null)
TOOLS   := bin/tools
VERSION ?= dev
LDFLAGS := -X braid/cmd/internal/cli.Version=$(VERSION)

.PHONY: all build pictures run generate generate-check fmt check lint test test-go test-ui test-e2e bench bench-full clean help

all: build

help: ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

build: $(UI_OUT) ## Build the UI and the four programs into bin/.
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

run: build ## Build everything and start Braid.
	bin/braid serve

# Not npm ci: it insists on packages for platforms that are not this one.
ui/node_modules/.installed: ui/package.json ui/package-lock.json
	npm --prefix ui install --no-save --no-audit --no-fund --ignore-scripts
	touch $@

$(UI_OUT): ui/node_modules/.installed $(UI_SRC)
	npm --prefix ui run build

$(TOOLS)/%: tools/go.mod
	@mkdir -p $(TOOLS)
	$(GO) build -C tools -o ../$(TOOLS)/ $(PKG)

$(TOOLS)/staticcheck: PKG := honnef.co/go/tools/cmd/staticcheck
$(TOOLS)/buf: PKG := github.com/bufbuild/buf/cmd/buf
$(TOOLS)/protoc-gen-go: PKG := google.golang.org/protobuf/cmd/protoc-gen-go
$(TOOLS)/protoc-gen-go-grpc: PKG := google.golang.org/grpc/cmd/protoc-gen-go-grpc
$(TOOLS)/protoc-gen-grpc-gateway: PKG := github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-grpc-gateway
$(TOOLS)/protoc-gen-openapiv2: PKG := github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-openapiv2

generate: $(TOOLS)/buf $(TOOLS)/protoc-gen-go $(TOOLS)/protoc-gen-go-grpc $(TOOLS)/protoc-gen-grpc-gateway $(TOOLS)/protoc-gen-openapiv2 ## Generate code from proto/, and docs from code.
	PATH="$(CURDIR)/$(TOOLS):$$PATH" buf generate
	rm -f proto/braid/store/v1/*.swagger.json
	$(GO) test ./internal/arch -run TestGeneratedCodeIsCurrent -update
	$(GO) test ./cmd/internal/config -run TestDocumentIsCurrent -update

generate-check: generate ## Fail when generated files are not what the definitions say.
	git diff --exit-code -- proto docs/configuration.md

fmt: ## Format all Go code.
	gofmt -w $$(git ls-files '*.go' | grep -v '\.pb\.')

lint: $(TOOLS)/staticcheck ## Formatting, vet, staticcheck.
	@bad=$$(gofmt -l $$(git ls-files '*.go' | grep -v '\.pb\.')); if [ -n "$$bad" ]; then echo "not formatted, run make fmt: $$bad"; exit 1; fi
	$(GO) vet ./...
	$(TOOLS)/staticcheck ./...

test-go: ## Go tests with the race detector; some drive Debian's promtool and amtool.
	test/e2e/tools.sh
	$(GO) test -race -timeout 20m ./...

test-ui: $(UI_OUT) ## Unit tests, types and lint of the UI, and its size.
	npm --prefix ui run lint
	npm --prefix ui test

test-e2e: build ## The real programs and a real browser.
	test/e2e/run.sh

pictures: build ## Take the pictures of the README anew.
	test/e2e/run.sh pictures

test-grafana: build ## The Grafana data source: its front end, its backend, and both in a real browser.
	BRAID_BIN=$(CURDIR)/bin $(MAKE) -C grafana test-grafana

test: lint test-go test-ui test-e2e test-grafana ## Everything that must pass before a change lands.

bench: ## Run every benchmark once, so that none can rot.
	$(GO) test -run '^$$' -bench . -benchtime 1x -short ./...

bench-full: ## Run every benchmark for real; compare two runs with benchstat.
	$(GO) test -run '^$$' -bench . -benchmem -count 6 ./...

clean: ## Remove what was built.
	rm -rf bin ui/dist/app ui/node_modules grafana/dist grafana/node_modules
