#!/bin/bash
#SBATCH --cpus-per-task=4
#SBATCH --mem=12G
#SBATCH --time=04:00:00
# Makes one share of a set: sbatch --array=0-9 scripts/slurm_synthesize.sh, then what follows nnUNetv2_tf_synthesize.
nnUNetv2_tf_synthesize "$@" -np "${SLURM_CPUS_PER_TASK:-4}" \
  -num_parts "$((SLURM_ARRAY_TASK_MAX - SLURM_ARRAY_TASK_MIN + 1))" -part_id "$((SLURM_ARRAY_TASK_ID - SLURM_ARRAY_TASK_MIN))"
