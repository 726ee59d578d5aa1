"""How many real cases a filter would let pass. In: a fold's cohort and a rule. Out: a sentence.

What the baseline trained on it recognises too well. Where folds have been trained whose validation cases these are,
their baselines are asked instead.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from nnunetv2_tf.baseline.checkpoint import Baseline
from nnunetv2_tf.dataset.folders import QUALITY
from nnunetv2_tf.dataset.folds import ensure_splits
from nnunetv2_tf.io.digests import digest, file_digest
from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.io.kept import kept
from nnunetv2_tf.io.parallel import in_parallel
from nnunetv2_tf.quality.recognition import recognised, segmented_around
from nnunetv2_tf.synthesis.acceptance import FilterRule, ready_segmentor
from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.working_space.stored import Case

MOST = 24  # cases that are asked about


@dataclass(frozen=True)
class RealPasses:
    """Shares of real tumours that baselines recognise."""

    shares: tuple[float, ...]
    unseen: bool  # by baselines that had not seen them
    source: str  # digest of the baselines and cases

    def sentence(self, rule: FilterRule) -> str:
        """Say how many would pass."""
        passing = sum(rule.keeps(share) for share in self.shares)
        by = "asked of baselines of other folds, which had not seen them" if self.unseen else "optimistic: it saw these"
        return f"Of {len(self.shares)} real training cases {passing} would pass this filter ({by})."


def real_passes(cohort: Cohort, rule: FilterRule, device: str) -> RealPasses:
    """Ask about the fold's training cases, by baselines that did not train on them where there are some; once."""
    cases = {name: case for name, case in cohort.training.items() if case.has_tumour()}
    names = sorted(np.random.default_rng(0).permutation(sorted(cases))[:MOST].tolist())
    judges = {name: baseline for name in names for baseline in _unseeing(name, cohort, rule.baseline)}
    unseen = bool(judges)
    asked = [(cases[name], judges[name]) for name in sorted(judges, key=lambda name: str(judges[name].fold))]
    asked = asked or [(cases[name], rule.baseline) for name in names]
    used = sorted({(str(judge.fold), file_digest(judge.path)) for _, judge in asked})
    source = digest([used, [(case.identifier, case.stamp()) for case, _ in asked]])
    folder = cohort.dataset.preprocessed / "tf" / QUALITY / cohort.plan.data_identifier
    path = folder / f"filter_{rule.baseline.trainer}_fold_{cohort.fold}.json"

    def measured() -> RealPasses:
        shares = in_parallel(lambda pair: _share(*pair, device), asked, 1, "Filtering real cases")
        return RealPasses(tuple(shares), unseen, source)

    return kept(path, RealPasses, source, measured)


def _unseeing(name: str, cohort: Cohort, baseline: Baseline) -> Iterator[Baseline]:
    """Yield the finished baseline of a fold in which a case validates, if there is one."""
    if cohort.fold == "all":
        return
    splits = ensure_splits(cohort.dataset, sorted(cohort.files), cohort.groups)
    for fold, split in enumerate(splits):
        other = replace(baseline, fold=fold)
        if name in split.val and fold != cohort.fold and _usable(other):
            yield other
            return


def _usable(baseline: Baseline) -> bool:
    """Tell whether another fold's baseline can be asked; what is wrong with it is that fold's affair."""
    try:
        baseline.checkpoint()
    except UserError:
        return False
    return True


def _share(case: Case, baseline: Baseline, device: str) -> float:
    opened = case.open()
    tumour, segmentor = opened.tumour(), ready_segmentor(baseline, device)
    found = segmented_around(segmentor, opened.image(), tumour)
    return round(recognised(found, tumour, opened.roles.tumour).tumour, 4)
