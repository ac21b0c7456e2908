# Sourced by the scripts of this folder: a tiny model to distil, and where they work.
# shellcheck shell=bash
set -euo pipefail
program=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# SDXL's layout at the smallest widths, hardly trained: enough for what is tested here.
make_tiny_model() {
  "$program" train --quiet --threads 1 --out "$work/model" --vae-channels 32,32,32,32 --vae-iterations 2 --vae-batch 2 \
    --latents 64 --unet-channels 32,32,64 --unet-depths 0,1,1 --text-widths 64,64 --text-layers 2 \
    --iterations 2 --batch 8 --sample-every 0
}

# distil FOLDER OPTION...
distil() {
  "$program" distill --emoji --quiet --model "$work/model/model.safetensors" --out "$1" --sample-every 0 "${@:2}"
}

# num_iterations FOLDER: rows of the logs there.
num_iterations() { cat "$1"/*.csv 2>/dev/null | grep -c '^[0-9]' || true; }

# kill_somewhere FOLDER ROWS PROCESS: kills it (SIGKILL) up to 0.2 s after its logs have ROWS rows; fails when it ended before.
kill_somewhere() {
  while (($(num_iterations "$1") < $2)) && kill -0 "$3" 2>/dev/null; do sleep 0.02; done
  sleep "$(awk -v r="$RANDOM" 'BEGIN { printf "%.3f", 0.2 * r / 32768 }')"
  kill -9 "$3"
  wait "$3" 2>/dev/null || true
}

# compare_killed_run FILE... -- COMMAND...
# Runs COMMAND with --out .../out (files carry that folder's name), once left alone, once killed at five random moments
# and resumed, and compares the FILEs. The first kill comes about where the run begins, each other one further into it.
compare_killed_run() {
  local files=() kills total resume
  while [[ $1 != -- ]]; do
    files+=("$1")
    shift
  done
  resume=("${@:2}" --out "$work/killed/out" --resume)
  "${@:2}" --out "$work/whole/out"
  total=$(num_iterations "$work/whole/out")
  for kills in 0 1 2 3 4; do
    # The program itself, not a shell around it, so that the signal reaches it.
    "${resume[@]}" 2>/dev/null &
    kill_somewhere "$work/killed/out" $((kills * total / 5 * (32768 + RANDOM) / 65536)) $!
    echo "killed after $(num_iterations "$work/killed/out") of $total iterations"
  done
  "${resume[@]}"
  for file in "${files[@]}"; do
    sha256sum "$work"/{whole,killed}/out/"$file" | sed "s|$work/||"
    cmp "$work/whole/out/$file" "$work/killed/out/$file" || { diff "$work/whole/out/$file" "$work/killed/out/$file" | cut -c1-300; exit 1; }
  done
  echo "identical"
}
