#!/usr/bin/env bash
# Works docs/gpu_queue.md off on a machine with a GPU: one step a command, each ends within eight minutes, and goes on
# where it stopped when it is given again.
# usage: scripts/gpu.sh STEP...
#   take PART     takes up a part that benchmarks/gpu_pack.py made (PART: a folder)
#   preprocess    nnU-Net's plans, and its preprocessing of real and healthy scans
#   baseline      nnU-Net on the real scans: the encoder
#   timings       a step of TF-GAN against the plain one, with and without what may make it faster; refining a case
#   tf_aug        stage 1
#   tf_gan        stage 2, for as long as a step may take
#   cases         a dozen made cases, once stage 2 has ended
# Variables: WORK (where all goes), OUT (where logs, pictures and figures go), DEVICE, REAL, HEALTHY, CONFIGURATION, PLANS,
# EPOCHS of the baseline, PRESET of stage 2, PATCH of the timings, SECONDS_EACH.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(realpath -m "${WORK:-$here/build/gpu_work}") out=$(realpath -m "${OUT:-$here/build/gpu_out}")
device=${DEVICE:-cuda} real=${REAL:-530} healthy=${HEALTHY:-601} configuration=${CONFIGURATION:-3d_fullres}
plans=${PLANS:-nnUNetPlans} epochs=${EPOCHS:-20} preset=${PRESET:-default} patch=${PATCH:-128} most=${SECONDS_EACH:-460}
processes=${nnUNet_def_n_proc:-$(nproc)}
mkdir -p "$work"/{nnUNet_raw,nnUNet_preprocessed,nnUNet_results} "$out"
export nnUNet_raw=$work/nnUNet_raw nnUNet_preprocessed=$work/nnUNet_preprocessed nnUNet_results=$work/nnUNet_results
export PYTHONPATH=$here${PYTHONPATH:+:$PYTHONPATH}
trainer=TFBaselineTrainer_${epochs}epochs_seed0
fit=("$real" "$configuration" 0 -healthy "$healthy" -p "$plans" -tr "$trainer" -device "$device")

for_a_while() { # a step that was ended by the clock goes on the next time
  local code=0
  timeout --signal=INT --kill-after=20 "$most" "$@" || code=$?
  case $code in 0) ;; 124 | 130 | 137) echo "Not done after $most s; give the same step again." ;; *) return "$code" ;; esac
}

keep() { # what is worth looking at, of this far
  find "$nnUNet_results" \( -name 'training_log*' -o -name 'progress.png' -o -path '*/previews/*' -o -name 'tf_aug.json' \) \
    -exec cp --parents -t "$out" {} + 2> /dev/null || true
}

while [ $# -gt 0 ]; do
  step=$1
  shift
  echo "### $step"
  case $step in
    take)
      cp -r "${1:?take which part?}"/. "$nnUNet_raw"/
      shift
      ;;
    preprocess)
      for_a_while nnUNetv2_plan_and_preprocess -d "$real" -c "$configuration" -np "$processes" -npfp "$processes"
      for raw in "$nnUNet_raw"/Dataset"$real"_*; do
        [ ! -e "$raw/splits_final.json" ] || cp "$raw/splits_final.json" "$nnUNet_preprocessed/$(basename "$raw")/"
      done
      for_a_while nnUNetv2_tf_preprocess_healthy -d "$real" -healthy "$healthy" -p "$plans" -c "$configuration" -np "$processes"
      ;;
    baseline)
      for_a_while nnUNetv2_train "$real" "$configuration" 0 -tr "$trainer" -p "$plans" -device "$device" --c
      ;;
    timings)
      cd "$here"
      for variant in "" --exact --compiled --channels_last; do
        for_a_while python -m benchmarks.tf_gan_step -device "$device" -patch "$patch" ${variant:+"$variant"} || true
      done 2>&1 | tee -a "$out/step.txt"
      for_a_while python -m benchmarks.refinement_time -device "$device" -patch "$patch" 2>&1 | tee -a "$out/refinement.txt"
      ;;
    tf_aug) for_a_while nnUNetv2_tf_fit "${fit[@]}" -m tf_aug ;;
    tf_gan) for_a_while nnUNetv2_tf_fit "${fit[@]}" -m tf_gan -preset "$preset" ;;
    cases)
      for_a_while nnUNetv2_tf_synthesize "$real" "$configuration" 0 -m tf_gan -preset "$preset" -healthy "$healthy" \
        -p "$plans" -num_cases 12 -s gpu12 -device "$device" -np 1
      find "$nnUNet_raw" -path '*/tf/gpu12/*' -name 'overview.png' -exec cp -t "$out" {} +
      ;;
    *)
      echo "Error: $step is no step; the head of $0 lists them." >&2
      exit 2
      ;;
  esac
  keep
done
