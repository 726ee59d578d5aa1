"""The scans that cases are made of. In: scans, sidecars. Out: digests of the scans' files; which one has changed."""

from collections.abc import Iterable, Mapping

from nnunetv2_tf.dataset.cases import CaseFiles, case_digest
from nnunetv2_tf.dataset.provenance import Sidecar
from nnunetv2_tf.working_space.stored import Case


def digests_of(scans: Mapping[str, Case]) -> dict[str, str]:
    """Return digests of the files of scans, by name."""
    return {name: case_digest(case.files) for name, case in scans.items()}


def first_changed(sidecars: Iterable[Sidecar], hosts: Mapping[str, Case], others: Mapping[str, Case]) -> str | None:
    """Return a scan whose files are not those any more that a case was made of, if there is one.

    Args:
        sidecars: of finished cases
        hosts: who may be host, by name
        others: who may be donor, or lend its looks; a host may have the name of one of them
    """
    current: dict[CaseFiles, str] = {}
    for sidecar in sidecars:
        for name, before in sidecar.sources.items():
            files = (hosts if name == sidecar.host else others)[name].files
            if files not in current:
                current[files] = case_digest(files)
            if current[files] != before:
                return name
    return None
