# What to run: `make help`. Each target first installs what it needs and this machine lacks (scripts/install-deps).

PREFIX ?= /usr/local
TARGET := $(or $(CARGO_TARGET_DIR),target)
RELEASE := $(abspath $(TARGET))/release

# The tests of the extension and the end-to-end tests run what is shipped: the release artefacts.
export OROSYNC_SERVER_BIN = $(RELEASE)/orosync-server
export OROSYNC_EXTENSION = $(RELEASE)/liborosync.so

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help build demo test test-rust test-extension test-bundle test-js test-end-to-end test-browser lint install \
	test-matrix screenshots

help: ## Say what there is to run
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

build: ## Compile orosync-server and the PHP extension, as released
	@scripts/install-deps build
	cargo build --release --package orosync-server --package orosync

demo: build ## Run the demo, a small CRM; Ctrl-C stops it. APP_ENV=dev: with the profiler
	@scripts/install-deps demo
	demo/bin/demo

test: lint test-rust test-extension test-bundle test-js test-end-to-end test-browser ## Check and test everything
	@echo 'All tests have passed.'

test-rust: ## Test the Rust crates, all but the extension
	@scripts/install-deps build
	cargo test --workspace --exclude orosync --exclude orosync-tests

test-extension: build ## Test the extension under PHP's own test runner
	@scripts/install-deps test
	TEST_PHP_EXECUTABLE=$$(command -v php) php $$(php-config --prefix)/lib/php/$$(php-config --phpapi)/build/run-tests.php \
		-q -n -j2 -d extension=$(OROSYNC_EXTENSION) php-tests/phpt

test-bundle: build ## Test the Symfony bundle with the real extension
	@scripts/install-deps test
	OROSYNC_EXTENSION_REQUIRED=1 php -d extension=$(OROSYNC_EXTENSION) $$(command -v phpunit) -c php-tests/bundle/phpunit.xml

test-js: js/node_modules/.package-lock.json ## Test the browser client
	@scripts/install-deps browser
	cd js && npm test

test-end-to-end: build ## Test server, PHP and clients together
	@scripts/install-deps test node browser
	cargo test --package orosync-tests

test-browser: build tests/browser/node_modules/.package-lock.json ## Test the demo in a real browser
	@scripts/install-deps demo browser
	cd tests/browser && npm test

test-matrix: build ## Test with the PHP and Symfony of other Debian releases; as root; ROOTS="trixie sid" limits it
	scripts/test-matrix $(ROOTS)

lint: js/node_modules/.package-lock.json tests/browser/node_modules/.package-lock.json ## Check formatting, types and style of all sources
	@scripts/install-deps build lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	git ls-files -z '*.php' | xargs -0 -n 1 -P 2 php -l >/dev/null
	phpcs -n -q --standard=PSR12 --extensions=php --ignore='*/phpt/*' bundle demo/bin demo/config demo/public demo/src php-tests
	cd js && npm run check
	cd tests/browser && npm run check
	shellcheck scripts/install-deps scripts/enable-extension scripts/test-matrix scripts/matrix/* demo/bin/demo demo/bin/console .ci/run

install: ## Install the server below PREFIX and the extension for this PHP (DESTDIR is honoured)
	@test -f $(OROSYNC_SERVER_BIN) -a -f $(OROSYNC_EXTENSION) || { echo 'Nothing is built yet. First run: make build'; exit 1; }
	install -D -m 755 $(OROSYNC_SERVER_BIN) '$(DESTDIR)$(PREFIX)/bin/orosync-server'
	install -D -m 644 $(OROSYNC_EXTENSION) "$(DESTDIR)$$(php-config --extension-dir)/orosync.so"
	@scripts/enable-extension '$(DESTDIR)'

screenshots: build tests/browser/node_modules/.package-lock.json ## Make the pictures of docs/images anew
	@scripts/install-deps demo browser
	cd tests/browser && npm run screenshots

%/node_modules/.package-lock.json: %/package-lock.json
	@scripts/install-deps node
	cd $* && npm ci --no-audit --no-fund
