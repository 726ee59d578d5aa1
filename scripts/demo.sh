#!/usr/bin/env bash
# Enrich nnU-Net with synthetic cases, from raw data to a comparison, on stand-in data and the CPU.
# usage: scripts/demo.sh FOLDER [EPOCHS] (everything is written there; only an earlier demo is replaced)
set -euo pipefail
demo=$(realpath -m "${1:?usage: scripts/demo.sh FOLDER [EPOCHS]}")
epochs=${2:-5}
if [ -e "$demo" ] && [ ! -e "$demo/.nnunetv2_tf_demo" ]; then
  echo "Error: $demo exists and is not an earlier demo; name another folder." >&2
  exit 2
fi
rm -rf "$demo"
mkdir -p "$demo"/{nnUNet_raw,nnUNet_preprocessed,nnUNet_results}
touch "$demo/.nnunetv2_tf_demo"
export nnUNet_raw=$demo/nnUNet_raw nnUNet_preprocessed=$demo/nnUNet_preprocessed nnUNet_results=$demo/nnUNet_results
export nnUNet_def_n_proc=1 nnUNet_n_proc_DA=1 PYTHONWARNINGS=ignore # planning wants one worker, seeds want none

say() { printf '\n### %s\n' "$*"; }

say "1/6 ten stand-in patients (real anatomy, grown tumours) and what they look like"
python -m nnunetv2_tf.standin dataset -name Dataset999_StandIns -num_cases 10 -kind mni152 -shape 40 48 40 -channels t2f
python -m nnunetv2_tf.standin sheet -o "$demo/standins.png" -kind mni152 -shape 96 116 96
say "2/6 nnU-Net plans and preprocesses them"
nnUNetv2_plan_and_preprocess -d 999 -c 3d_fullres -np 1 -npfp 1 --verify_dataset_integrity
python -m nnunetv2_tf.standin plans -d 999
say "3/6 CarveMix makes twenty synthetic cases of fold 0's training cases: set carvemix"
nnUNetv2_tf_synthesize 999 3d_fullres 0 -m carvemix -num_cases 20 -s carvemix -p nnUNetPlansTiny -np 1
nnUNetv2_tf_sets -d 999
for trainer in TFBaselineTrainer_${epochs}epochs_seed0 TFEnrichedTrainer_carvemix_${epochs}epochs_seed0; do
  say "$([ "${trainer:2:1}" = B ] && echo 4/6 || echo 5/6) $trainer"
  nnUNet_n_proc_DA=0 nnUNetv2_train 999 3d_fullres 0 -tr "$trainer" -p nnUNetPlansTiny -device cpu
done
say "6/6 fold 0, $epochs epochs each, on stand-ins: shows that everything runs, not that it helps"
folds=("$nnUNet_results"/Dataset999_StandIns/*/fold_0)
python -m nnunetv2_tf.benchmark.tables "${folds[@]}"
overview=$nnUNet_raw/Dataset999_StandIns/tf/carvemix/fold_0/overview.png
printf '%s\n' "$demo/standins.png" "$overview" "${folds[@]/%//progress.png}"
