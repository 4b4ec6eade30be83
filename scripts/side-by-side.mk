# Most of `make test`, in two lanes: one compiles while the other waits for browsers, PHP, Redis and timers. The waiting lane has
# priority, so that its sequential parts meet their deadlines during compilation. A target's output is shown when it has ended.
# test-attacks is not included: it assigns processors to server and attackers, and needs an idle machine.

.PHONY: all compiling waiting
all: waiting compiling

waiting:
	+@$(MAKE) --file Makefile build test-browser test-extension test-memory test-bundle test-js test-long-targets test-without-attacks

compiling:
	+@nice $(MAKE) --file Makefile lint test-rust test-conformance test-fuzz test-budgets test-performance-page
