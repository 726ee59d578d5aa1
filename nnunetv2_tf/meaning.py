"""What a dataset's labels mean: which values are tumour, which are the organ it grows in.

nnU-Net does not know; dataset.json's key `tf` says it by name. Without that key all foreground is tumour.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnunetv2_tf.errors import UserError


@dataclass(frozen=True)
class Meaning:
    """Label values of a dataset, by what they are."""

    tumour: tuple[int, ...]
    organ: tuple[int, ...] = ()  # without the tumour; empty: whatever is not background of exactly 0

    @classmethod
    def of(cls, dataset_json: Mapping[str, Any]) -> "Meaning":
        """Reads dataset.json's `labels` and `tf`."""
        values = {name: _values(value) for name, value in dataset_json["labels"].items() if name != "ignore"}
        described = dataset_json.get("tf")
        if described is None:
            return cls(tuple(sorted({value for several in values.values() for value in several} - {0})))
        regions = described.get("regions", {})
        tumour = _named(described.get("tumour", []), values, regions, "tumour")
        if not tumour:
            raise UserError("dataset.json: its key tf names no tumour; list the tumour's labels under tf.tumour.")
        return cls(tumour, _named(described.get("organ", []), values, regions, "organ"))


def _named(
    names: Sequence[str], values: Mapping[str, set[int]], regions: Mapping[str, Sequence[str]], what: str
) -> tuple[int, ...]:
    """The values of some labels. Where labels are overlapping regions, classes are found through those made of them."""
    whole = [region for region, members in regions.items() if region in values and set(members) <= set(names)]
    found: set[int] = set()
    for name in names:
        holders = [name] if name in values else [region for region in whole if name in regions[region]]
        if not holders:
            raise UserError(
                f"dataset.json: tf.{what} names {name}, which is none of its labels ({', '.join(values)}); correct it."
            )
        found |= set().union(*(values[holder] for holder in holders))
    return tuple(sorted(found))


def _values(value: int | Iterable[int]) -> set[int]:
    return {value} if isinstance(value, int) else set(value)
