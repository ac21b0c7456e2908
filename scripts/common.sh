# Sourced by the scripts here: what they print and how they stop. All of it goes to stderr, so that the
# stdout of ./fourstep is the program's alone.
# shellcheck shell=bash

log=/dev/null  # where logged() writes
num_steps=0 step_number=0

say() { printf '%s\n' "$*" >&2; }

# die SENTENCE: stop with the exit code of a request that cannot be done here.
die() {
  say "${0##*/}: $*"
  exit 2
}

# start_step TEXT ... finish_step WORD: one line per step, "[2/4] text ... done (41 s)".
start_step() {
  step_number=$((step_number + 1))
  step_began=$SECONDS
  printf '[%d/%d] %s ... ' "$step_number" "$num_steps" "$1" >&2
}

finish_step() { say "$1 ($((SECONDS - step_began)) s)"; }

# fail_step SENTENCE: ends the line of the step, shows the end of its log, stops.
fail_step() {
  say "failed ($((SECONDS - step_began)) s)"
  [[ -s $log ]] && tail -n 25 "$log" >&2
  die "$1 The whole output is in $log."
}

# logged COMMAND...: its output goes to the log of the step.
logged() { "$@" >>"$log" 2>&1; }

# has_distribution VENV NAME VERSION: whether pip finished installing it there.
has_distribution() {
  compgen -G "$1/lib/python3*/site-packages/$2-$3*.dist-info/RECORD" >/dev/null
}

# make_venv FOLDER: a working virtual environment there, made anew when its interpreter is gone.
make_venv() {
  if ! "$1/bin/python" -c '' 2>/dev/null; then
    logged python3 -m venv --clear "$1" || fail_step "No virtual environment could be made in $1."
  fi
}

# install_torch VENV VERSION: the processor-only build where there is one (a tenth of the size of the CUDA
# build, which links only where the CUDA toolkit is installed), else what the package index has.
install_torch() {
  local pip=("$1/bin/python" -m pip install --disable-pip-version-check --no-input)
  if command -v nvcc >/dev/null; then
    logged "${pip[@]}" "torch==$2"
  else
    logged "${pip[@]}" "torch==$2+cpu" ||
      logged "${pip[@]}" --extra-index-url https://download.pytorch.org/whl/cpu "torch==$2"
  fi
}
