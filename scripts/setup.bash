# shellcheck shell=bash
# Sourced by try and test: makes .venv and installs a lock of requirements/ into it. Needs bash 3.2 and Python only.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

# Bytecode is what start-up time stands on, so nobody's setting may stop it from being written here.
unset PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME VIRTUAL_ENV

bold="" plain=""
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' plain=$'\e[0m'
fi

say() {
    printf '\n%s==> %s%s\n' "$bold" "$1" "$plain"
}

die() {
    printf '%s: %s\n' "$(basename "$0")" "$1" >&2
    shift
    [ $# -eq 0 ] || printf '    %s\n' "$@" >&2
    exit 2
}

usable_python() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

makes_venvs() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null
}

# Prints $PYTHON, or the first of the usual names that is Python >= 3.11 with its venv module.
find_python() {
    local candidate found="" candidates=(python3 python3.13 python3.12 python3.11)
    if [ -n "${PYTHON:-}" ]; then
        usable_python "$PYTHON" || die "PYTHON is '$PYTHON', which is no Python 3.11 or later." \
            "Point it at one, or unset it to have one looked for."
        candidates=("$PYTHON")
    fi
    for candidate in "${candidates[@]}"; do
        usable_python "$candidate" || continue
        found=${found:-$candidate}
        if makes_venvs "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    [ -n "$found" ] || die "no Python 3.11 or later is on PATH; python3 is $(python3 -V 2>/dev/null || echo absent)." \
        "Debian, Ubuntu: apt install python3 python3-venv (or python3.12 python3.12-venv)" \
        "Fedora: dnf install python3.12    macOS: brew install python@3.12" \
        "Installed elsewhere? PYTHON=/path/to/python3 $0"
    die "$found cannot make virtual environments: its venv module is missing." \
        "Debian, Ubuntu: apt install $("$found" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" \
        "Elsewhere: install the full Python package of your distribution."
}

make_venv() {
    local python
    python=$(find_python)
    say "Make .venv with $("$python" -V) ($python)"
    "$python" -m venv --clear .venv
}

# What the installation depends on: where it lies, which Python, which lock, how the package is built.
installation() {
    pwd
    .venv/bin/python -VV
    cat "requirements/$1.txt" pyproject.toml
}

# install_lock NAME: brings .venv to requirements/NAME.txt plus the package itself; does nothing if it is there already.
install_lock() {
    local lock=$1 stamp=.venv/installed-$1 began=$SECONDS
    if [ -f "$stamp" ] && usable_python .venv/bin/python && installation "$lock" | cmp -s - "$stamp"; then
        compile_own
        return
    fi
    if ! usable_python .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        make_venv
    fi
    rm -f .venv/installed-*
    say "Install $(grep -c '==' "requirements/$lock.txt") pinned packages of requirements/$lock.txt into .venv, hashes checked"
    # The lock is complete, so pip need not resolve; wheels only, because a source build would fetch what no hash covers.
    pip_install --no-deps --require-hashes --only-binary :all: -r "requirements/$lock.txt"
    pip_install --no-deps --no-index --no-build-isolation -e .
    # The clouds' SDKs are thousands of modules, of which a run needs a few: these are compiled as they are used.
    .venv/bin/python -m compileall -q -j 0 -x '/pulumi_(aws|gcp)/' .venv/lib
    compile_own
    installation "$lock" >"$stamp"
    # Everything that run.txt pins is pinned alike in dev.txt.
    [ "$lock" = run ] || installation run >.venv/installed-run
    printf 'Installed in %d s. Next time this is skipped.\n' $((SECONDS - began))
}

pip_install() {
    .venv/bin/python -m pip --disable-pip-version-check --no-input install --quiet --progress-bar off --no-compile "$@" ||
        die "pip could not install; what it said stands above." \
            "If no index was reached: name your proxy or mirror with 'pip config', and run this again." \
            "If a wheel is missing: this Python is too new or too rare; choose another with PYTHON=python3.12 $0."
}

compile_own() {
    .venv/bin/python -m compileall -q components policies templates
}
