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
# Variables: WORK (where all goes), OUT (where kept.tar.gz goes, with logs, pictures and figures), DEVICE, REAL, HEALTHY,
# CONFIGURATION, PLANS, EPOCHS of the baseline, PRESET of stage 2, PATCH of the timings, SECONDS_EACH, PYTHON. The package
# need not be installed; nnU-Net's commands have to be on the PATH.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(realpath -m "${WORK:-$here/build/gpu_work}") out=$(realpath -m "${OUT:-$here/build/gpu_out}")
device=${DEVICE:-cuda} real=${REAL:-530} healthy=${HEALTHY:-601} configuration=${CONFIGURATION:-3d_fullres}
plans=${PLANS:-nnUNetPlans} epochs=${EPOCHS:-20} preset=${PRESET:-default} patch=${PATCH:-128} most=${SECONDS_EACH:-460}
processes=${nnUNet_def_n_proc:-$(nproc)}
mkdir -p "$work"/{nnUNet_raw,nnUNet_preprocessed,nnUNet_results} "$out"
export nnUNet_raw=$work/nnUNet_raw nnUNet_preprocessed=$work/nnUNet_preprocessed nnUNet_results=$work/nnUNet_results
export PYTHONPATH=$here${PYTHONPATH:+:$PYTHONPATH}
python=${PYTHON:-python3}
nnUNet_extTrainer=$("$python" -m nnunetv2_tf --ext)
export nnUNet_extTrainer nnUNet_n_proc_DA=${nnUNet_n_proc_DA:-$(nproc)}
trainer=TFBaselineTrainer_${epochs}epochs_seed0
fit=("$real" "$configuration" 0 -healthy "$healthy" -p "$plans" -tr "$trainer" -device "$device")

for_a_while() { # what the clock ends goes on the next time; all that is asked of one command shares its clock
  local code=0 left=$((most - SECONDS))
  [ "$left" -le 0 ] || timeout --signal=INT --kill-after=20 "$left" "$@" || code=$?
  if [ "$SECONDS" -ge "$most" ] && { [ "$left" -le 0 ] || [ "$code" -ne 0 ]; }; then
    echo "Not done after $most s; give the same step again." >&2
    exit 3
  fi
  return "$code"
}

once() { # usage: once NAME COMMAND...; not again what has ended well
  local name=$1
  shift
  [ -e "$work/done/$name" ] || { for_a_while "$@" && mkdir -p "$work/done" && touch "$work/done/$name"; }
}

timed() { # usage: timed NAME LINE COMMAND...; what was measured is not measured again; the LINE says that it was
  local file=$work/timings/$1.txt line=$2
  shift 2
  mkdir -p "$work/timings"
  if [ ! -e "$file" ]; then
    for_a_while "$@" > "$file.part" 2>&1 || true # a goal that is missed is a measurement, too
    grep -q "$line" "$file.part" && mv "$file.part" "$file" || file=$file.part
  fi
  cat "$file"
}

keep() { # what is worth looking at, of this far, in one file
  local found=(\( -name 'training_log*' -o -name 'progress.png' -o -path '*/previews/*' -o -path '*/timings/*'
    -o -name 'tf_aug.json' -o -path '*/tf/gpu12/*/overview.png' \))
  (cd "$work" && find . -type f "${found[@]}" -print0 | tar --null -T - -czf "$out/kept.tar.gz") || true
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
      once preprocessed nnUNetv2_plan_and_preprocess -d "$real" -c "$configuration" -np "$processes" -npfp "$processes"
      for raw in "$nnUNet_raw"/Dataset"$real"_*; do
        [ ! -e "$raw/splits_final.json" ] || cp "$raw/splits_final.json" "$nnUNet_preprocessed/$(basename "$raw")/"
      done
      for_a_while "$python" -m nnunetv2_tf.commands.preprocess_healthy -d "$real" -healthy "$healthy" -p "$plans" \
        -c "$configuration" -np "$processes"
      ;;
    baseline)
      for_a_while nnUNetv2_train "$real" "$configuration" 0 -tr "$trainer" -p "$plans" -device "$device" --c
      ;;
    timings)
      sized=(-device "$device" -patch "$patch")
      last='where the time goes, ours, with penalty or check'
      timed step "$last" "$python" -m benchmarks.tf_gan_step "${sized[@]}"
      timed refinement 's a case' "$python" -m benchmarks.refinement_time "${sized[@]}"
      for variant in exact compiled channels_last; do
        timed "step_$variant" "$last" "$python" -m benchmarks.tf_gan_step "${sized[@]}" "--$variant"
      done
      ;;
    tf_aug) for_a_while "$python" -m nnunetv2_tf.commands.fit "${fit[@]}" -m tf_aug ;;
    tf_gan) for_a_while "$python" -m nnunetv2_tf.commands.fit "${fit[@]}" -m tf_gan -preset "$preset" ;;
    cases)
      for_a_while "$python" -m nnunetv2_tf.commands.synthesize "$real" "$configuration" 0 -m tf_gan -preset "$preset" \
        -healthy "$healthy" -p "$plans" -num_cases 12 -s gpu12 -device "$device" -np 1
      ;;
    *)
      echo "Error: $step is no step; the head of $0 lists them." >&2
      exit 2
      ;;
  esac
done
