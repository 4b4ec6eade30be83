# Most of `make test`, in two lanes on the artefacts that are built: what compiles fills the time in which the other lane waits
# for browsers and processes. That one goes first where both want a processor. What a target says is shown when it has ended.
# The end-to-end tests stay apart: their attacks need the machine for themselves.

.PHONY: all compiling waiting
all: waiting compiling

waiting:
	+@$(MAKE) --file Makefile test-browser test-extension test-memory test-bundle test-js test-long-targets

compiling:
	+@nice $(MAKE) --file Makefile lint test-rust test-conformance test-fuzz test-budgets test-performance-page
