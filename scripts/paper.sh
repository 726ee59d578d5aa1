#!/usr/bin/env bash
# The paper's tables 1 to 3, from scans as they are downloaded. Every step goes on where it stopped: give the same
# command again after any interruption.
# usage: scripts/paper.sh BRATS2023_GLI IXI PPMI [plan]
#   with plan: converts, preprocesses, and then only says what is to be done, how long it takes and how much room
# nnU-Net's three variables say where everything goes; tables are in nnUNet_results/tf_benchmark/table1, table2, table3.
# Variables, with the paper's values: NUM_TRAIN=100 NUM_VAL=200 SPLIT_SEED=0 PRESET=paper PLANS=nnUNetPlans_paper
# EPOCHS=100 NUM_SEEDS=3 TABLES="1 2 3". Besides: LABELLED=501 HEALTHY=601 DEVICE=cuda NP=4, MATRICES (a folder for the
# three matrices, default: nnUNet_results/tf_benchmark), GPUS="0 1", STRIP (skull stripping, default: auto).
set -euo pipefail
[ $# -ge 3 ] || { sed -n '4,6p' "$0" >&2; exit 2; }
brats=$1 ixi=$2 ppmi=$3 only=${4:-}
labelled=${LABELLED:-501} healthy=${HEALTHY:-601} device=${DEVICE:-cuda} np=${NP:-4} plans=${PLANS:-nnUNetPlans_paper}
matrices=${MATRICES:-$nnUNet_results/tf_benchmark}
mkdir -p "$matrices"

is_there() { # usage: is_there FOLDER NUMBER FILE; whether a dataset has a file
  compgen -G "$1/Dataset$(printf %03d "$2")_*/$3" > /dev/null
}

is_there "$nnUNet_raw" "$labelled" dataset.json || nnUNetv2_tf_convert_brats -i "$brats" -source 2023-gli -d "$labelled" \
  -name BraTS23T1 -modalities t1n -num_train "${NUM_TRAIN:-100}" -num_val "${NUM_VAL:-200}" \
  -split_seed "${SPLIT_SEED:-0}" --only_drawn -np "$np"
code=0 # 1: some scans could not be used; it has named them
is_there "$nnUNet_raw" "$healthy" dataset.json || nnUNetv2_tf_convert_healthy -i "$ixi" "$ppmi" -d "$healthy" \
  -name Healthy -reference "$labelled" -strip "${STRIP:-auto}" -np "$np" || code=$?
[ "$code" -le 1 ] || exit "$code"
[ -e "$matrices/preprocessed_$labelled" ] || { # nnU-Net itself would begin anew
  nnUNetv2_plan_and_preprocess -d "$labelled" -c 3d_fullres --verify_dataset_integrity -npfp "$np" -np "$np"
  touch "$matrices/preprocessed_$labelled"
}

for table in ${TABLES:-1 2 3}; do
  matrix=$matrices/table$table.json
  nnUNetv2_tf_benchmark plan "$matrix" --paper "$table" -d "$labelled" -healthy "$healthy" -p "$plans" \
    -preset "${PRESET:-paper}" -epochs "${EPOCHS:-100}" -num_seeds "${NUM_SEEDS:-3}" -device "$device"
  [ "$only" != plan ] || continue
  # shellcheck disable=SC2086  # GPUS are several words
  nnUNetv2_tf_benchmark run "$matrix" -device "$device" ${GPUS:+-gpus $GPUS}
  nnUNetv2_tf_benchmark collect "$matrix" -np "$np"
  nnUNetv2_tf_benchmark verify "$matrix"
done
