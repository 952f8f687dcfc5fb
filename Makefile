# What people type; `make help` lists it. The work is done by xtask/ (cargo xtask), in Rust.

VMCPUS     ?=
VMMEM      ?=
TIMEOUT    ?= 1800
PATHS      ?= crates/nvmev-sim/golden
ROUNDS     ?= 6
JOBSECONDS ?= 1

# Variables go to xtask through the environment and as they were typed: $(value) does not expand a $ in them, so that
# APPEND='memmap=1G$4G' and CMD='echo $HOME' arrive as they are. Nothing of them is in a command line here.
export NVMEV_CMD         = $(value CMD)
export NVMEV_MODPARAMS   = $(value MODPARAMS)
export NVMEV_KVER        = $(value KVER)
export NVMEV_APPEND      = $(value APPEND)
export NVMEV_QEMUOPTS    = $(value QEMUOPTS)
export NVMEV_VMCPUS      = $(value VMCPUS)
export NVMEV_VMMEM       = $(value VMMEM)
export NVMEV_TIMEOUT     = $(value TIMEOUT)
export NVMEV_SUITE       = $(value SUITE)
export NVMEV_PART        = $(value PART)
export NVMEV_STATUS      = $(value STATUS)
export NVMEV_ADD         = $(value ADD)
export NVMEV_KDIR        = $(value KDIR)
export NVMEV_PATHS       = $(value PATHS)
export NVMEV_OTHER       = $(value OTHER)
export NVMEV_OTHERPARAMS = $(value OTHERPARAMS)
export NVMEV_ROUNDS      = $(value ROUNDS)
export NVMEV_JOBSECONDS  = $(value JOBSECONDS)
export NVMEV_PACKAGE_VERSION = $(value VERSION)
# These names are also what other tools read from their environment.
unexport CMD MODPARAMS KVER APPEND QEMUOPTS VMCPUS VMMEM TIMEOUT SUITE PART STATUS ADD KDIR PATHS OTHER OTHERPARAMS ROUNDS JOBSECONDS VERSION

# Kbuild and cargo must not take over this make's flags and variables.
XTASK = env -u MAKEFLAGS -u MFLAGS -u MAKEOVERRIDES -u MAKELEVEL cargo xtask

.PHONY: all
all: setup ## nvmev.ko for the running kernel, or KDIR=FOLDER, or KVER=6.12|7.3|newest|RELEASE for another
	@$(XTASK) module

.PHONY: demo
demo: setup ## from a fresh machine to a drive under load, in a VM  [KVER=6.12|newest|...]
	@$(XTASK) demo

.PHONY: vm
vm: setup ## a VM on this machine's files: CMD='...' MODPARAMS='size=1G cpus=1,2' KVER= VMCPUS= VMMEM= APPEND= QEMUOPTS= TIMEOUT=
	@$(XTASK) vm

.PHONY: test
test: setup ## all checks: sources, unit tests, the module's build, VMs
	@$(XTASK) test

.PHONY: test-quick
test-quick: setup ## the checks without a VM and without a kernel
	@$(XTASK) test --quick

.PHONY: test-long
test-long: setup ## the checks that take hours, in parts of half an hour: those that have not passed on this commit, or PART=NAME,...  STATUS=1 lists them
	@$(XTASK) test --long

.PHONY: test-vm
test-vm: setup ## only the checks in VMs  [SUITE=6.12-size], also with other settings: ADD='cpus=1' APPEND= QEMUOPTS=
	@$(XTASK) test --vm

.PHONY: imports
imports: setup ## which modules import each other in a circle or against the layers, with figures about all crates
	@env -u MAKEFLAGS -u MFLAGS -u MAKEOVERRIDES -u MAKELEVEL cargo run --quiet --package import-check

.PHONY: matrix
matrix: setup ## the module's build for every kernel with headers in the distribution's suites, as a table  [KVER=6.12|7.3-rt|...]
	@$(XTASK) matrix

.PHONY: bench
bench: setup ## how fast the models, the engine and the simulator are, on this machine
	@$(XTASK) bench

.PHONY: bench-vm
bench-vm: setup ## fio on the module and on another, in turns in a VM: OTHER=FILE.ko OTHERPARAMS='...' MODPARAMS='...' ROUNDS= JOBSECONDS= KVER= VMCPUS= VMMEM= APPEND= QEMUOPTS=
	@$(XTASK) bench-vm

.PHONY: golden
golden: setup ## replay traces in the golden format  [PATHS='FILE FOLDER']
	@$(XTASK) golden

.PHONY: doctor
doctor: setup ## can the module run on this machine, and what to do if not
	@$(XTASK) doctor

.PHONY: load
load: setup ## load the module on this machine: MODPARAMS='size=1G cpus=2,3'
	@$(XTASK) load

.PHONY: unload
unload: setup ## unload it
	@$(XTASK) unload

.PHONY: deb
deb: setup ## Debian packages nvmev and nvmev-dkms, in target/deb  [VERSION=0.1.1]
	@$(XTASK) deb

.PHONY: dkms-source
dkms-source: setup ## a source tree for `dkms add`, with all dependencies, in target/dkms  [VERSION=0.1.1]
	@$(XTASK) dkms-source

.PHONY: clean
clean: ## remove what was built here (fetched kernels stay in ~/.cache/nvmev)
	cargo clean
	rm -rf kmod/target

# The rest of what is missing is found and installed by xtask; but that needs cargo and a linker first.
.PHONY: setup
setup: ## install cargo if this machine has none
	@command -v cargo >/dev/null && command -v cc >/dev/null && exit 0; \
	echo "cargo or a C compiler is missing."; \
	if ! command -v apt-get >/dev/null; then \
		echo "Install Rust 1.85 or newer and gcc, then try again."; exit 1; \
	fi; \
	root=; [ "$$(id -u)" = 0 ] || root=sudo; \
	$$root apt-get -q update >/dev/null && \
	if apt-cache show cargo-web >/dev/null 2>&1; then packages='rustc-web cargo-web rust-web-src'; \
	else packages='rustc cargo rust-src'; fi && \
	echo "Installing $$packages gcc" && \
	$$root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $$packages gcc libc6-dev ca-certificates >/dev/null

.PHONY: help
help: ## this list
	@echo 'make [TARGET] [VARIABLE=value]...'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F '\t' '{ printf "  %-11s %s\n", $$1, $$2 }'
