# A thin front to Meson: what a person types. `make help` lists it.
#
#   build/            optimised by a profile of itself, with debug info: what runs and what is installed
#   build-debug/      gcc, warnings are errors, no link-time optimisation
#   build-asan/       address and undefined-behaviour sanitizers
#   build-tsan/       thread sanitizer
#   build-fuzz/       clang, warnings are errors, libFuzzer
#   build-coverage/   counts the lines that tests run

PREFIX ?= /usr/local
DESTDIR ?=
REDIS_NAMES ?= 0
PORT ?= 6379
ARGS ?=
LTO ?= true
# Build twice: once to watch it at work (tools/train), and once with what was seen. With gcc alone.
PGO ?= $(if $(findstring clang,$(CC)),false,true)
FUZZ_SECONDS ?= 60
KILLS ?= 1000

# The system's own Python and Meson where they exist: another Python that stands first in PATH need not
# know Meson. Looked for when used, because `make run` may just have installed them.
PYTHON = $(shell test -x /usr/bin/python3 && echo /usr/bin/python3 || echo python3)
MESON = $(shell test -x /usr/bin/meson && echo /usr/bin/meson || echo meson)
NINJA = $(shell test -x /usr/bin/ninja && echo /usr/bin/ninja || echo ninja)

# $(call build,FOLDER,OPTIONS): configure once, then compile.
define build
	@command -v $(MESON) >/dev/null || { echo "Meson is missing: 'make packages' installs what a build needs" >&2; exit 1; }
	@test -f $(1)/build.ninja || $(MESON) setup $(1) $(2)
	@$(NINJA) -C $(1)
endef

release_options = --buildtype=release -Ddebug=true -Db_lto=$(LTO) -Dtests=disabled
debug_options = --buildtype=debugoptimized -Dtests=enabled -Dwerror=true
asan_options = --buildtype=debugoptimized -Dtests=enabled -Db_sanitize=address,undefined -Db_lundef=false
tsan_options = --buildtype=debugoptimized -Dtests=enabled -Db_sanitize=thread -Db_lundef=false
fuzz_options = --buildtype=debugoptimized -Dwerror=true -Dfuzzers=true -Dtests=disabled \
               -Db_sanitize=address,undefined -Db_lundef=false
coverage_options = --buildtype=debug -Dtests=enabled -Db_coverage=true

.PHONY: all build profile run test install debug asan tsan fuzz fuzz-build crash bench coverage format clean help \
        packages test-packages
# Each part of a build uses all processors by itself.
.NOTPARALLEL:

all: build

build:
ifeq ($(PGO),true)
	@test -f build/profile || $(MAKE) --no-print-directory profile
else
	@rm -f build/profile; test ! -f build/build.ninja || $(MESON) configure build -Db_pgo=off
endif
	$(call build,build,$(release_options))

# What is built without a profile works the same. Whoever stops in the middle begins anew.
profile:
	@rm -f build/profile
	$(call build,build,$(release_options) -Db_pgo=generate)
	@$(MESON) configure build -Db_pgo=generate
	@$(NINJA) -C build
	@find build -name '*.gcda' -delete
	@if $(PYTHON) tools/train build/redstart; then \
	    $(MESON) configure build -Db_pgo=use; echo used >build/profile; \
	else \
	    echo "There is no profile: building without" >&2; \
	    $(MESON) configure build -Db_pgo=off; echo none >build/profile; \
	fi
	@$(NINJA) -C build

run: packages
	@$(MAKE) --no-print-directory build
	@test -x build/redstart || { echo "build/redstart was not built: src/main.c is missing" >&2; exit 1; }
	exec build/redstart server --port $(PORT) $(ARGS)

test: test-packages
	@exec $(PYTHON) tests/run --make "$(MAKE)"

install: build
	$(MESON) configure build --prefix $(abspath $(PREFIX)) -Dredis_names=$(if $(filter 1,$(REDIS_NAMES)),true,false)
	$(NINJA) -C build
	$(MESON) install -C build --no-rebuild $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))

debug: test-packages
	$(call build,build-debug,$(debug_options))

asan: test-packages
	$(call build,build-asan,$(asan_options))

tsan: test-packages
	$(call build,build-tsan,$(tsan_options))

fuzz-build: test-packages
	@test ! -f build-fuzz/build.ninja || $(MESON) setup --reconfigure build-fuzz >/dev/null
	@test -f build-fuzz/build.ninja || CC=clang $(MESON) setup build-fuzz $(fuzz_options)
	@$(NINJA) -C build-fuzz

fuzz: fuzz-build
	@$(PYTHON) tests/fuzz/run --seconds $(FUZZ_SECONDS)

crash: build test-packages
	@exec $$($(PYTHON) tests/run --interpreter) tests/crash/run --kills $(KILLS) $(ARGS)

bench: build
	@exec $(PYTHON) tests/bench/run $(ARGS)

coverage: test-packages
	$(call build,build-coverage,$(coverage_options))
	@exec $(PYTHON) tests/run --coverage --make "$(MAKE)"

format:
	@find src tests -name '*.[ch]' -print0 | xargs -0 -r clang-format -i

clean:
	rm -rf build build-debug build-asan build-tsan build-fuzz build-coverage

packages:
	@tools/install-packages build

test-packages:
	@tools/install-packages build test

help:
	@echo "make            build/redstart, optimised by a profile of itself; PGO=false: without, in half the time"
	@echo "make profile    take the profile again"
	@echo "make run        install what is missing, build, start a server on port $(PORT) (PORT=, ARGS=)"
	@echo "make test       install what is missing, build, run every test"
	@echo "make packages   install what a build needs; make test-packages: what tests need too"
	@echo "make install    to PREFIX ($(PREFIX)), below DESTDIR; REDIS_NAMES=1 adds links redis-server ..."
	@echo "make debug      build-debug/redstart: warnings are errors, nothing inlined across files"
	@echo "make asan       build-asan/: address and undefined-behaviour sanitizers"
	@echo "make tsan       build-tsan/: thread sanitizer"
	@echo "make fuzz       run every fuzzer for FUZZ_SECONDS ($(FUZZ_SECONDS))"
	@echo "make crash      kill a server KILLS ($(KILLS)) times while it is written to (ARGS=--help)"
	@echo "make bench      processor time and memory beside redis-server (ARGS=--help)"
	@echo "make coverage   which lines the tests run: build-coverage/html/index.html"
	@echo "make format     lay out the source with clang-format"
	@echo "make clean      remove all of these folders"
