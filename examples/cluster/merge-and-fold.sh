#!/bin/bash
# Adds the shards and folds with them. It fails if a shard is missing, and names it.
#
#   sbatch --dependency=afterok:ARRAY_JOB merge-and-fold.sh MODEL PARTS OUTPUT KEEP [OPTIONS OF kvfold fold]
#
#SBATCH --job-name=kvfold-fold
#SBATCH --output=%x.log
#SBATCH --ntasks=1
set -euo pipefail

model=$1 parts=$2 output=$3 keep=$4
shift 4

kvfold merge "$parts"/*-of-*.safetensors -o "$parts/moments.safetensors" --force --quiet
kvfold fold "$model" -o "$output" --keep "$keep" --moments "$parts/moments.safetensors" --heal none --quiet "$@"
