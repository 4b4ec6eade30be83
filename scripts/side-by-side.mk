# Most of `make test`, in two lanes: what compiles fills the time in which the other lane waits for browsers, PHP, Redis and time
# that passes. The waiting lane goes first where both want a processor: its parts, which run one after the other, are on time
# whatever is compiled beside them. What a target says is shown when it has ended.
# The attacks stay apart: they share out the processors, and need the machine for themselves.

.PHONY: all compiling waiting
all: waiting compiling

waiting:
	+@$(MAKE) --file Makefile build test-browser test-extension test-memory test-bundle test-js test-long-targets test-without-attacks

compiling:
	+@nice $(MAKE) --file Makefile lint test-rust test-conformance test-fuzz test-budgets test-performance-page
