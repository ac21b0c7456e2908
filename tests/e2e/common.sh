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
