#!/bin/bash
# Measures one shard of a text: a task of a Slurm job array (numbered from 1), or a pod of a Kubernetes indexed Job (from 0).
#
#   sbatch --array=1-16 measure-shard.sh MODEL TEXT PARTS 16 [OPTIONS OF kvfold measure]
#
#SBATCH --job-name=kvfold-measure
#SBATCH --output=%x-%a.log
#SBATCH --ntasks=1
set -euo pipefail

model=$1 text=$2 parts=$3 shards=$4
shift 4
shard=${SLURM_ARRAY_TASK_ID:-$((${JOB_COMPLETION_INDEX:?"set by Kubernetes; under Slurm, use sbatch --array"} + 1))}

mkdir -p "$parts"
# The file appears when it is complete, so that a task that was killed leaves none, and can be started again.
kvfold measure "$model" --calibration "$text" --shard "$shard/$shards" -o "$parts/$shard-of-$shards.safetensors" --force --quiet "$@"
