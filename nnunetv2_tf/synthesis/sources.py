"""The raw files that cases are made of. In: sidecars. Out: which host's files have changed since, if one's have."""

from collections.abc import Iterable, Mapping

from nnunetv2_tf.dataset.cases import case_digest
from nnunetv2_tf.dataset.provenance import Sidecar
from nnunetv2_tf.working_space.stored import Case


def first_changed(sidecars: Iterable[Sidecar], hosts: Mapping[str, Case]) -> str | None:
    """Return a host whose files are not those any more that a finished case was made of, if there is one."""
    current: dict[str, str] = {}
    for sidecar in sidecars:
        for name, before in sidecar.sources.items():
            if name not in current:
                current[name] = case_digest(hosts[name].files)
            if current[name] != before:
                return name
    return None
