"""Cases of a method, made in memory from recipe lines. In: a fold's hosts and a method. Out: examples for yardsticks.

They are as nnU-Net would see the finished cases, but for the way through files.
"""

import numpy as np

from nnunetv2_tf.methods.base import Method
from nnunetv2_tf.quality.examples import Example, example
from nnunetv2_tf.report.measured_examples import person, surroundings
from nnunetv2_tf.synthesis.cohort import Cohort
from nnunetv2_tf.synthesis.finished import Finished
from nnunetv2_tf.synthesis.host_pool import HostPool
from nnunetv2_tf.synthesis.site_builder import SiteBuilder
from nnunetv2_tf.tumours.recipe import RecipeLine


def made_example(
    cohort: Cohort, pool: HostPool, line: RecipeLine, method: Method, builder: SiteBuilder | None = None
) -> Example:
    """Make a line's case and return its tumour.

    Args:
        cohort: of the fold
        pool: the hosts
        line: of their recipe
        method: ready for use
        builder: of the line's site; None: the pool's own
    """
    host = pool.cases[line.host].open()
    site = (builder or pool.site_builder(line)).build(host, with_donors=method.pastes).site
    (edited,) = method.edit([site], [np.random.default_rng(line.seed)])
    case = Finished.of(site, edited, cohort.roles.tumour, cohort.plan.manager.normalization_schemes)
    patient = cohort.labelled.get(line.host)
    organ = site.organ.numpy() if patient is None else patient.open().organ()  # a free side is part of it
    further = surroundings(case.image, case.tumour > 0, organ, host) if patient is None else {}
    people = [person(cohort.labelled[name]) if name in cohort.labelled else name for name in (line.host, *line.donors)]
    return example(str(line.index), False, people, case.image, case.tumour, organ, site.spacing, further)
