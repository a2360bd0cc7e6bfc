# Short names for the project's chores. Each recipe is one command that works without just, too.

# Everything that proves the tree; `just test --list` names the steps, `just test --only unit` runs one.
test *args:
    cargo xtask test {{args}}

# The end-to-end tests on a real Kubernetes.
e2e *args:
    cargo xtask e2e {{args}}

# The programs as they are published.
dist:
    cargo xtask dist

# An OCI image archive for every process.
images *args:
    cargo xtask images {{args}}

# Ratios against baselines measured in the same run; writes the tables of docs/performance.md.
bench *args:
    cargo xtask bench {{args}}

# Files that are made from code; `just generate --check` compares only.
generate *args:
    cargo xtask generate {{args}}

# The whole gateway on this machine, on the bundled database.
up *args:
    cargo run --release -- up {{args}}

# Ask a running gateway.
query *args:
    cargo run --release -- query {{args}}

# What continuous integration runs.
ci:
    .ci/run

# Does everything compile?
check:
    cargo check --workspace --all-targets

# Format, words of comments, lints.
lint:
    cargo xtask test --only fmt --only words --only clippy

# Unit, property, golden and simulation tests.
unit:
    cargo xtask test --only unit

# The documentation, without a warning.
doc:
    cargo xtask test --only doc

# Compile whenever a source changes; needs cargo-watch.
watch:
    cargo watch -x 'check --workspace --all-targets'

# Format the sources.
fmt:
    cargo fmt --all
