#!/usr/bin/env bash
# Works docs/gpu_queue.md off on a machine with a GPU: a step or more a command, which ends within eight minutes (exit
# code 3 when something is left to do) and goes on where it stopped when it is given again.
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

for_a_while() { # what the clock ends goes on the next time; all that is asked of one command shares its clock
  local code=0 left=$((most - SECONDS))
  if [ "$left" -gt 0 ]; then
    timeout --signal=INT --kill-after=20 "$left" "$@" || code=$?
  else
    code=124
  fi
  case $code in
    124 | 130 | 137) echo "Not done after $most s; give the same step again." >&2 && exit 3 ;;
    *) return "$code" ;;
  esac
}

timed() { # usage: timed NAME COMMAND...; what was measured is not measured again
  local name=$1 code=0
  shift
  mkdir -p "$work/timings"
  if [ ! -e "$work/timings/$name.txt" ]; then
    for_a_while "$@" > "$work/timings/part" || code=$?
    echo "exit code $code" >> "$work/timings/part"
    mv "$work/timings/part" "$work/timings/$name.txt"
  fi
  cat "$work/timings/$name.txt"
}

keep() { # what is worth looking at, of this far
  cd "$work"
  find . \( -name 'training_log*' -o -name 'progress.png' -o -path '*/previews/*' -o -path './timings/*.txt' \
    -o -name 'tf_aug.json' -o -path '*/tf/gpu12/overview.png' \) -exec cp --parents -t "$out" {} +
}
trap keep EXIT

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
      sized=(-device "$device" -patch "$patch")
      timed step python -m benchmarks.tf_gan_step "${sized[@]}"
      timed refinement python -m benchmarks.refinement_time "${sized[@]}"
      for variant in exact compiled channels_last; do
        timed "step_$variant" python -m benchmarks.tf_gan_step "${sized[@]}" "--$variant"
      done
      ;;
    tf_aug) for_a_while nnUNetv2_tf_fit "${fit[@]}" -m tf_aug ;;
    tf_gan) for_a_while nnUNetv2_tf_fit "${fit[@]}" -m tf_gan -preset "$preset" ;;
    cases)
      for_a_while nnUNetv2_tf_synthesize "$real" "$configuration" 0 -m tf_gan -preset "$preset" -healthy "$healthy" \
        -p "$plans" -num_cases 12 -s gpu12 -device "$device" -np 1
      ;;
    *)
      echo "Error: $step is no step; the head of $0 lists them." >&2
      exit 2
      ;;
  esac
done
