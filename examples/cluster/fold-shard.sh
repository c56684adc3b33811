#!/bin/bash
# Folds with one shard of a text: a task of a Slurm job array (numbered from 1), or a pod of a Kubernetes indexed Job (from 0).
# All of them run at the same time; the first writes the output.
#
#   sbatch --array=1-16 fold-shard.sh MODEL TEXT OUTPUT KEEP 16 [OPTIONS OF kvfold fold]
#
#SBATCH --job-name=kvfold-fold-shard
#SBATCH --output=%x-%a.log
#SBATCH --ntasks=1
set -euo pipefail

model=$1 text=$2 output=$3 keep=$4 shards=$5
shift 5
shard=${SLURM_ARRAY_TASK_ID:-$((${JOB_COMPLETION_INDEX:?"set by Kubernetes; under Slurm, use sbatch --array"} + 1))}

# What a task has finished is kept beside the output, so that one that was killed goes on when it is started again.
kvfold fold "$model" -o "$output" --keep "$keep" --calibration "$text" --shard "$shard/$shards" --exchange "$output.exchange" --resume --quiet "$@"
