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
  "$program" distill --quiet --model "$work/model/model.safetensors" --out "$1" --sample-every 0 "${@:2}"
}

# compare_killed_run LORA LOG COMMAND...
# Runs COMMAND with --out .../out (files carry that folder's name), once left alone, once killed (SIGKILL) up to five
# times at random moments and resumed, and compares LORA_fp32.safetensors, LORA_fp16.safetensors and LOG.
compare_killed_run() {
  local lora=$1 log=$2 began took_ms kills=0 pid file
  local resume=("${@:3}" --out "$work/killed/out" --resume)
  began=$(date +%s%N)
  "${@:3}" --out "$work/whole/out"
  took_ms=$((($(date +%s%N) - began) / 1000000))
  while ((kills < 5)); do
    # The program itself, not a shell around it, so that the signal reaches it.
    "${resume[@]}" 2>/dev/null &
    pid=$!
    # Anywhere in the first two thirds of a whole run; a state is saved every twentieth of it.
    sleep "$(awk -v ms="$took_ms" -v r="$RANDOM" 'BEGIN { printf "%.3f", ms / 1000 * 0.66 * r / 32768 }')"
    if kill -9 "$pid" 2>/dev/null; then kills=$((kills + 1)); fi
    wait "$pid" 2>/dev/null || true
    if [[ -e $work/killed/out/${lora}_fp32.safetensors ]]; then break; fi
  done
  "${resume[@]}"
  echo "killed $kills times"
  for file in "${lora}_fp32.safetensors" "${lora}_fp16.safetensors" "$log"; do
    sha256sum "$work"/{whole,killed}/out/"$file" | sed "s|$work/||"
    cmp "$work/whole/out/$file" "$work/killed/out/$file" || { diff "$work/whole/out/$file" "$work/killed/out/$file" | cut -c1-300; exit 1; }
  done
  ((kills >= 1))
  echo "identical"
}
