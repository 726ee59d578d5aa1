"""nnU-Net's trainer on the real training cases of a fold and a set of synthetic ones; validation stays real."""

import sys
from pathlib import Path
from typing import Any

import torch
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_tf.sets.enrichment import Enrichment
from nnunetv2_tf.sets.sampling import EnrichedDataset
from nnunetv2_tf.working_space.preprocess import Plan

from .TFBaselineTrainer import TFBaselineTrainer


class TFEnrichedTrainer(TFBaselineTrainer):
    """Trains with a set of synthetic cases, TFEnrichedTrainer_<set>; `sets.names` has all parts of the name."""

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008 (nnU-Net's signature)
    ) -> None:
        if PlansManager(plans).get_configuration(configuration).previous_stage_name is not None:
            sentence = (
                f"Error: {type(self).__name__} cannot train {configuration}: synthetic cases have no predictions of "
                "its previous stage; train 3d_fullres instead."
            )
            print(sentence, file=sys.stderr)
            raise SystemExit(2)
        super().__init__(plans, configuration, fold, dataset_json, device)

    def with_synthetic_cases(self, training: Any) -> EnrichedDataset:
        """Return the real training cases together with the set's, after checking the set."""
        plan = Plan(self.plans_manager.plans, self.configuration_name, self.dataset_json)
        enrichment = self._choose(plan)
        record = enrichment.record(len(self.split.train), self.options.percent)
        self.keep_record(record)
        if self.local_rank == 0:
            record.write(Path(str(self.output_folder)) / "tf_enrichment.json")
        folder = str(enrichment.part.preprocessed(plan.data_identifier))
        synthetic = infer_dataset_class(folder)(folder, enrichment.identifiers)
        enriched = EnrichedDataset(training, synthetic, self.options.percent)
        self.synthetic_identifiers = enriched.synthetic_identifiers
        self.print_to_log_file(enrichment.describe(self.options.percent))
        return enriched

    def _choose(self, plan: Plan) -> Enrichment:
        real = self.all_identifiers()
        enrichment = Enrichment.choose(self.tf_dataset, self.fold, self.options)
        enrichment.check_unique_names(real)
        enrichment.check_no_leaks(self.split, self.groups, real)
        enrichment.check_fresh(plan)
        return enrichment
