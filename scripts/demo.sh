#!/usr/bin/env bash
# Enrich nnU-Net with synthetic tumours, from raw data to a comparison, on stand-in data and the CPU.
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
baseline=TFBaselineTrainer_${epochs}epochs_seed0

say() { printf '\n### %s\n' "$*"; }

say "1/7 ten stand-in patients (real anatomy, grown tumours), eight healthy people, and what they look like"
standins=(-kind mni152 -shape 40 48 40 -channels t2f)
python -m nnunetv2_tf.standin dataset -name Dataset999_StandIns -num_cases 10 "${standins[@]}"
python -m nnunetv2_tf.standin dataset -name Dataset998_Healthy -num_cases 8 --healthy "${standins[@]}"
python -m nnunetv2_tf.standin sheet -o "$demo/standins.png" -kind mni152 -shape 96 116 96
say "2/7 nnU-Net plans and preprocesses them"
nnUNetv2_plan_and_preprocess -d 999 -c 3d_fullres -np 1 -npfp 1 --verify_dataset_integrity
python -m nnunetv2_tf.standin plans -d 999
nnUNetv2_tf_preprocess_healthy -d 999 -healthy 998 -p nnUNetPlansTiny -c 3d_fullres -np 1
say "3/7 nnU-Net on the real cases: the baseline, and the encoder that TF-Aug learns through"
nnUNet_n_proc_DA=0 nnUNetv2_train 999 3d_fullres 0 -tr "$baseline" -p nnUNetPlansTiny -device cpu --c
say "4/7 TF-Aug learns how bright tumours are"
nnUNetv2_tf_fit 999 3d_fullres 0 -m tf_aug -healthy 998 -p nnUNetPlansTiny -tr "$baseline" -device cpu
say "5/7 TF-GAN learns to refine what TF-Aug makes"
nnUNet_n_proc_DA=0 nnUNetv2_tf_fit 999 3d_fullres 0 -m tf_gan -preset brief -healthy 998 -p nnUNetPlansTiny -tr "$baseline" \
  -device cpu
say "6/7 healthy people get tumours, twenty cases in all, and nnU-Net trains with and without them"
cat > "$demo/demo.json" <<MATRIX
{"datasets": [999], "configuration": "3d_fullres", "plans": "nnUNetPlansTiny", "folds": [0], "seeds": [0],
 "epochs": $epochs, "baseline": "nnunet",
 "arms": [{"name": "nnunet", "method": null},
          {"name": "tf", "method": "tf_gan", "preset": "brief", "healthy": 998, "num_cases": 20}]}
MATRIX
nnUNetv2_tf_benchmark plan "$demo/demo.json"
# a demo may run from a checkout that is being worked on
nnUNet_n_proc_DA=0 nnUNetv2_tf_benchmark run "$demo/demo.json" -o "$demo/results" -device cpu -np 2 --allow_changes
nnUNetv2_tf_sets -d 999
say "7/7 fold 0, $epochs epochs each, on stand-ins: shows that everything runs, not that it helps"
nnUNetv2_tf_benchmark collect "$demo/demo.json" -o "$demo/results"
printf '%s\n' "$demo/standins.png" "$nnUNet_raw"/Dataset999_StandIns/tf/tfganbriefseed0/fold_0/overview.png \
  "$demo"/results/*.png "$nnUNet_results"/Dataset999_StandIns/*/fold_0/progress.png
