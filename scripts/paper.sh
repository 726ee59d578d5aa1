#!/usr/bin/env bash
# The paper's tables 1 to 3, from scans as they are downloaded. Every step goes on where it stopped: give the same
# command again after any interruption.
# usage: scripts/paper.sh BRATS2023_GLI IXI PPMI [plan]
#   with plan: converts, preprocesses, and then only says what is to be done, how long it takes and how much room
# nnU-Net's three variables say where everything goes; tables are in nnUNet_results/tf_benchmark/table1, table2, table3.
# Variables, with the paper's values: NUM_TRAIN=100 NUM_VAL=200 SPLIT_SEED=0 PRESET=paper PLANS=nnUNetPlans_paper
# EPOCHS=100 NUM_SEEDS=3 TABLES="1 2 3". Besides: LABELLED=511 and HEALTHY=611, numbers of datasets that are made here,
# DEVICE=cuda NP=4, GPUS="0 1", STRIP=auto (skull stripping), MATRICES (where the three matrices go, default:
# nnUNet_results/tf_benchmark).
set -euo pipefail
usage() { sed -n '4,5p' "$0" >&2; exit 2; }
[ $# -ge 3 ] || usage
brats=$1 ixi=$2 ppmi=$3 only=${4:-}
case $only in '' | plan) ;; *) usage ;; esac
labelled=${LABELLED:-511} healthy=${HEALTHY:-611} device=${DEVICE:-cuda} np=${NP:-4} plans=${PLANS:-nnUNetPlans_paper}
matrices=${MATRICES:-$nnUNet_results/tf_benchmark}
mkdir -p "$matrices"

raw() { # usage: raw NUMBER; the folder of a dataset, if there is one
  compgen -G "$nnUNet_raw/Dataset$(printf %03d "$1")_*" || true
}

# Which cases are drawn is settled when the dataset is made; nobody's dataset of that number is taken for it.
settings="$brats $ixi $ppmi train ${NUM_TRAIN:-100} val ${NUM_VAL:-200} seed ${SPLIT_SEED:-0} strip ${STRIP:-auto}"
noted=$nnUNet_raw/.paper_$labelled
if [ ! -e "$noted" ] && [ -n "$(raw "$labelled")$(raw "$healthy")" ]; then
  echo "Error: dataset $labelled or $healthy exists and was not made by this script; name other numbers with LABELLED and HEALTHY." >&2
  exit 2
fi
[ -n "$(raw "$labelled")$(raw "$healthy")" ] || echo "$settings" > "$noted"
if [ "$(cat "$noted")" != "$settings" ]; then
  echo "Error: dataset $labelled was made with: $(cat "$noted"); name other numbers with LABELLED and HEALTHY." >&2
  exit 2
fi

[ -n "$(raw "$labelled")" ] || nnUNetv2_tf_convert_brats -i "$brats" -source 2023-gli -d "$labelled" -name BraTS23T1 \
  -modalities t1n -num_train "${NUM_TRAIN:-100}" -num_val "${NUM_VAL:-200}" -split_seed "${SPLIT_SEED:-0}" \
  --only_drawn -np "$np"
if [ ! -e "$(raw "$healthy")/dataset.json" ]; then # it ends with 1 where some scans could not be used, and names them
  nnUNetv2_tf_convert_healthy -i "$ixi" "$ppmi" -d "$healthy" -name Healthy -reference "$labelled" \
    -strip "${STRIP:-auto}" -np "$np" || [ -e "$(raw "$healthy")/dataset.json" ]
fi
preprocessed=$nnUNet_preprocessed/$(basename "$(raw "$labelled")")
if [ ! -e "$preprocessed/.paper" ]; then # nnU-Net itself would begin anew each time
  rm -f "$preprocessed/nnUNetPlans_paper.json"
  nnUNetv2_plan_and_preprocess -d "$labelled" -c 3d_fullres --verify_dataset_integrity -npfp "$np" -np "$np"
  touch "$preprocessed/.paper"
fi

failed=0
go_on() { # usage: go_on COMMAND ...; where something failed (exit code 1), what does not need it is done all the same
  "$@" || { code=$?; [ "$code" -eq 1 ] || exit "$code"; failed=1; }
}
for table in ${TABLES:-1 2 3}; do
  matrix=$matrices/table$table.json
  nnUNetv2_tf_benchmark plan "$matrix" --paper "$table" -d "$labelled" -healthy "$healthy" -p "$plans" \
    -preset "${PRESET:-paper}" -epochs "${EPOCHS:-100}" -num_seeds "${NUM_SEEDS:-3}" -device "$device"
  [ "$only" != plan ] || continue
  # shellcheck disable=SC2086  # GPUS are several words
  go_on nnUNetv2_tf_benchmark run "$matrix" -device "$device" ${GPUS:+-gpus $GPUS}
  nnUNetv2_tf_benchmark collect "$matrix" -np "$np"
  go_on nnUNetv2_tf_benchmark verify "$matrix"
done
exit "$failed"
