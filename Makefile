# `make help` lists the targets. Each target first installs its missing dependencies (scripts/install-deps).

PREFIX ?= /usr/local
TARGET := $(or $(CARGO_TARGET_DIR),target)
RELEASE := $(abspath $(TARGET))/release

# The tests of the extension and the end-to-end tests run the release artefacts.
export OROSYNC_SERVER_BIN = $(RELEASE)/orosync-server
export OROSYNC_EXTENSION = $(RELEASE)/liborosync.so

# All crates except the extension, which needs PHP's headers. All targets name them together: cargo then uses the same features
# and compiles each crate once.
CRATES := --workspace --exclude orosync

# In a PHP with threads (ZTS), all threads share one backend link.
ZTS = $(if $(filter 1,$(shell $(or $(PHP),php) -n -r 'echo PHP_ZTS;' 2>/dev/null)),--features orosync/zts)
NAMES = $(basename $(notdir $(1:/main.rs=.rs)))
# The test `threads` needs a PHP with threads: scripts/matrix/in-zts runs it.
END_TO_END := $(filter-out threads,$(call NAMES,$(wildcard tests/tests/*.rs tests/tests/*/main.rs)))
OTHER_TESTS := $(call NAMES,$(filter-out tests/%,$(wildcard */tests/*.rs)))

# Number of servers of `make demo`.
NODES ?= 1

# Duration of `make soak` in minutes.
MINUTES ?= 30

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help build client demo test test-rust test-extension test-bundle test-js test-end-to-end test-without-attacks test-attacks \
	test-browser lint install test-matrix test-php-versions test-oro test-deploy compatibility-page test-long-targets screenshots soak \
	test-conformance test-fuzz test-memory test-valgrind fuzz test-budgets test-performance-page \
	bench bench-quick bench-programs bench-peers profile budgets performance-page

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 23

build: ## Compile release builds of orosync-server and the PHP extension
	@scripts/install-deps build
	cargo build --release --package orosync-server --package orosync $(ZTS)

client: ## Copy the browser client to bundle/public, the bundle's assets
	rm -rf bundle/public
	cp -R js/src bundle/public

demo: build ## Run the demo, a small CRM; Ctrl-C stops it. APP_ENV=dev adds the profiler, NODES=2 runs two servers on Redis
	@scripts/install-deps demo
	DEMO_NODES=$(NODES) demo/bin/demo

test: js/node_modules/.package-lock.json tests/browser/node_modules/.package-lock.json bench/report/node_modules/.package-lock.json ## Run all checks and tests
	@scripts/install-deps build lint test node browser demo conformance fuzz valgrind bench soak
	$(MAKE) --no-print-directory --file scripts/side-by-side.mk --jobs 2 --output-sync=target
	$(MAKE) --no-print-directory test-attacks
	@echo 'All tests have passed.'

test-rust: ## Test the Rust crates except the extension
	@scripts/install-deps build test
	cargo test $(CRATES) --lib --bins $(addprefix --test ,$(OTHER_TESTS))
	cargo test $(CRATES) --doc
	cargo test --package orosync-link --features threads --lib --test link

test-conformance: ## Test the WebSocket code of server and publishers with the Autobahn suite
	@scripts/install-deps build conformance
	cargo build $(CRATES) --features orosync-server/echo,orosync-link/echo --example echo_server --example echo_client
	tests/conformance/run $(TARGET)/debug/examples/echo_server $(TARGET)/debug/examples/echo_client $(TARGET)/conformance

test-fuzz: ## Fuzz all parsers of untrusted input, for half a minute each
	@scripts/install-deps build fuzz
	SANITIZER=none JOBS=2 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 scripts/fuzz 30 $(TARGET)/test-fuzz

fuzz: ## Fuzz with AddressSanitizer, for SECONDS_EACH=600 each; TARGETS="session wamp" selects targets
	@scripts/install-deps build fuzz
	scripts/fuzz $(or $(SECONDS_EACH),600) $(TARGET)/fuzz $(TARGETS)

test-valgrind: ## Run the extension's tests, and server and PHP together, under valgrind; takes minutes
	@scripts/install-deps build test valgrind
	cargo build --profile profiling --no-default-features --package orosync-server --package orosync
	scripts/test-valgrind $(abspath $(TARGET))/profiling/orosync-server $(abspath $(TARGET))/profiling/liborosync.so

test-memory: build ## Test under valgrind that PHP code may change values while the extension reads them
	@scripts/install-deps test valgrind
	scripts/test-valgrind $(OROSYNC_SERVER_BIN) $(OROSYNC_EXTENSION) memory

test-extension: build ## Test the extension under PHP's own test runner
	@scripts/install-deps test
	TEST_PHP_EXECUTABLE=$$(command -v php) php $$(php-config --prefix)/lib/php/$$(php-config --phpapi)/build/run-tests.php \
		-q -n -j2 -d extension=$(OROSYNC_EXTENSION) php-tests/phpt

test-bundle: build ## Test the Symfony bundle with the real extension
	@scripts/install-deps test
	for suite in symfony publishing oro; do \
		OROSYNC_EXTENSION_REQUIRED=1 php -d extension=$(OROSYNC_EXTENSION) $$(command -v phpunit) -c php-tests/bundle/phpunit.xml \
			--testsuite $$suite || exit 1; \
	done

test-php-versions: php-tests/wasm/node_modules/.package-lock.json ## Load the bundle in PHP 8.1 and 8.3, as WebAssembly from npm (500 MB)
	@scripts/install-deps test node
	cd php-tests/wasm && npm test

test-js: js/node_modules/.package-lock.json ## Test the browser client
	@scripts/install-deps browser
	cd js && npm test

test-end-to-end: test-without-attacks test-attacks ## Test server, PHP and clients together

test-without-attacks: build ## Run the end-to-end tests without the attacks
	@scripts/install-deps test node browser
	cargo test $(CRATES) $(addprefix --test ,$(filter-out attacks,$(END_TO_END)))

test-attacks: build ## Test that attacks do not disturb other sessions; needs an idle machine
	@scripts/install-deps test
	cargo test $(CRATES) --test attacks

test-browser: build tests/browser/node_modules/.package-lock.json ## Test the demo in real browsers
	@scripts/install-deps demo browser
	cd tests/browser && npm test

test-matrix: build ## Test with PHP and Symfony of other Debian releases; as root; ROOTS="trixie sid" selects releases, PHP_SOURCES=DIR adds PHP 8.1 and 8.3
	@scripts/install-deps roots
	PHP_SOURCES='$(PHP_SOURCES)' scripts/test-matrix $(ROOTS)

test-deploy: build ## Execute the steps of docs/deploy.md in a minimal Debian, up to an event through NGINX; as root
	@scripts/install-deps deploy
	tests/deploy/run $(TARGET)/deploy
	tests/deploy/image $(TARGET)/deploy

test-oro: build tests/oro/js/node_modules/.package-lock.json ## Test within Oro's own code; as root; ORO=DIR contains clones, ORO_APPLICATIONS="DIR ..." are installed applications; PARTS="5.1 js" selects parts
	@test -n '$(ORO)$(ORO_APPLICATIONS)' || { echo 'ORO is not set. Run: make test-oro ORO=DIR, where DIR contains the clones that tests/oro/README.md lists'; exit 1; }
	@scripts/install-deps oro roots browser
	ORO_APPLICATIONS='$(ORO_APPLICATIONS)' tests/oro/run '$(ORO)' $(TARGET)/oro $(PARTS)

compatibility-page: ## Write the tables of docs/compatibility.md from the results of test-matrix and test-oro
	scripts/compatibility-page $(TARGET)

test-long-targets: build ## Run a short, unoptimized version of the long targets: matrix, valgrind, bench, soak
	@scripts/install-deps test valgrind bench soak
	scripts/test-matrix --share
	cargo check --no-default-features --package orosync-server --package orosync
	cargo build $(CRATES) --bins --tests
	bench/run quick $(TARGET)/debug
	$(TARGET)/debug/soak 1 $(TARGET)/soak-minute
	/usr/bin/python3 tests/soak/plot.py $(TARGET)/soak-minute/samples.csv $(TARGET)/soak-minute/soak.svg

soak: build ## Run a soak test with 10,000 sessions and restarts for MINUTES=30; draws docs/images/soak.svg
	@scripts/install-deps test soak
	cargo run --release --package orosync-tests --bin soak -- $(MINUTES) $(TARGET)/soak
	/usr/bin/python3 tests/soak/plot.py $(TARGET)/soak/samples.csv docs/images/soak.svg

lint: js/node_modules/.package-lock.json tests/browser/node_modules/.package-lock.json bench/report/node_modules/.package-lock.json ## Check formatting, types and style of all sources
	@scripts/install-deps build lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' cargo doc --quiet --workspace --no-deps --document-private-items
	git ls-files -z '*.php' | xargs -0 -n 1 -P 2 php -l >/dev/null
	phpcs -n -q --standard=PSR12 --extensions=php --ignore='*/phpt/*,*/node_modules/*' bench/php bench/peers/oro_client.php demo/bin demo/config demo/public demo/src bundle php-tests tests/oro tests/deploy/application
	cd js && npm run check
	cd tests/browser && npm run check
	cd bench/report && npm run check
	cargo clippy --workspace --features orosync-server/echo,orosync-link/echo --all-targets -- --deny warnings
	cargo clippy --package orosync-link --package orosync-tests --features orosync-link/threads,orosync-tests/zts --all-targets -- --deny warnings
	cargo fmt --manifest-path fuzz/Cargo.toml --check -- --config-path .
	python3 -m py_compile bench/peers/oro tests/oro/*.py tests/deploy/run tests/deploy/image
	tests/oro/run --check
	scripts/compatibility-page --check
	shellcheck scripts/install-deps scripts/enable-extension scripts/build-php scripts/fuzz scripts/test-valgrind scripts/test-matrix scripts/matrix/* \
		tests/conformance/run tests/valgrind/bin/valgrind tests/oro/in-root tests/oro/build-in-root tests/deploy/boot bench/run bench/profile bench/peers/peer demo/bin/demo demo/bin/console .ci/run

performance-page: bench/report/node_modules/.package-lock.json ## Write docs/performance.md from the results of `make bench`
	@scripts/install-deps node
	node bench/report/make.js

test-performance-page: bench/report/node_modules/.package-lock.json ## Test that docs/performance.md matches the published results
	@scripts/install-deps node
	cd bench/report && npm test

bench-programs: build
	cargo build --release --package orosync-bench

bench-peers: bench/peers/node_modules/.package-lock.json
	@scripts/install-deps bench
	bench/peers/peer install $(BENCH_PEERS)

bench: bench-programs bench-peers ## Run all benchmarks, with raw limits and other servers; ORO=DIR contains clones of Oro, BENCH_PEERS=--sockudo adds sockudo
	ORO='$(ORO)' bench/run full

bench-quick: bench-programs ## Run the benchmarks with the raw limits only, in a minute
	@scripts/install-deps bench
	ORO='$(ORO)' bench/run quick

profile: bench-programs ## Profile the server
	@scripts/install-deps bench
	bench/profile

budgets: build ## Count the instructions of each code path and store them as budgets
	@scripts/install-deps valgrind
	cargo build --release --package orosync-bench --bin budgets
	$(RELEASE)/budgets renew

test-budgets: build ## Test that no code path exceeds its instruction budget
	@scripts/install-deps valgrind
	cargo build --release --package orosync-bench --bin budgets
	$(RELEASE)/budgets check

install: ## Install the server and its systemd units below PREFIX, and the extension for this PHP (DESTDIR is honoured)
	@test -f $(OROSYNC_SERVER_BIN) -a -f $(OROSYNC_EXTENSION) || { echo 'The build is missing. Run first: make build'; exit 1; }
	install -D -m 755 $(OROSYNC_SERVER_BIN) '$(DESTDIR)$(PREFIX)/bin/orosync-server'
	install -D -m 644 $(OROSYNC_EXTENSION) "$(DESTDIR)$$(php-config --extension-dir)/orosync.so"
	install -D -m 644 -t '$(DESTDIR)$(PREFIX)/lib/systemd/system' packaging/systemd/orosync-server.service packaging/systemd/orosync-server.socket
	sed -i 's|/usr/local/bin/|$(PREFIX)/bin/|' '$(DESTDIR)$(PREFIX)/lib/systemd/system/orosync-server.service'
	install -D -m 644 packaging/systemd/orosync.sysusers '$(DESTDIR)$(PREFIX)/lib/sysusers.d/orosync.conf'
	@scripts/enable-extension '$(DESTDIR)'

screenshots: build tests/browser/node_modules/.package-lock.json ## Update the screenshots of docs/images
	@scripts/install-deps demo browser
	cd tests/browser && npm run screenshots

%/node_modules/.package-lock.json: %/package-lock.json
	@scripts/install-deps node
	cd $* && npm ci --no-audit --no-fund
