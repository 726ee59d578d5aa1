"""nnU-Net's trainer on the real training cases of a fold and a set of synthetic ones; validation stays real."""

from pathlib import Path
from typing import Any

from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class

from nnunetv2_tf.sets.enrichment import Enrichment
from nnunetv2_tf.sets.sampling import EnrichedDataset
from nnunetv2_tf.working_space.preprocess import Plan

from .TFBaselineTrainer import TFBaselineTrainer


class TFEnrichedTrainer(TFBaselineTrainer):
    """Trains with a set of synthetic cases, TFEnrichedTrainer_<set>; `sets.names` has all parts of the name."""

    in_cascades = False

    def with_synthetic_cases(self, training: Any) -> EnrichedDataset:
        """Return the real training cases together with the set's, after checking the set."""
        plan = Plan(self.plans_manager.plans, self.configuration_name, self.dataset_json)
        enrichment = self._choose(plan)
        record = enrichment.record(len(self.split.train), self.options.percent)
        self.keep_record(record)
        if self.rank == 0:
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
