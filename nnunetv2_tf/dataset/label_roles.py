"""Meaning of a dataset's labels. In: dataset.json. Out: which values are tumour, and which the organ it grows in.

nnU-Net does not know; the key `tf` of dataset.json says it by name. Without that key all foreground is tumour.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnunetv2_tf.dataset.cases import dataset_json
from nnunetv2_tf.dataset.folders import Dataset
from nnunetv2_tf.io.errors import UserError

IGNORE = "ignore"  # nnU-Net's name for voxels that nobody labelled


@dataclass(frozen=True)
class LabelRoles:
    """Label values of a dataset, by what they stand for."""

    tumour: tuple[int, ...]
    organ: tuple[int, ...] = ()  # without the tumour; empty: all that is not background of exactly 0
    priority: tuple[int, ...] = ()  # where tumours overlap the earlier class wins; empty: the smaller class
    diffuse: tuple[int, ...] = ()  # classes that grow around fluid and not into it

    @classmethod
    def read(cls, dataset: Dataset) -> "LabelRoles":
        """Read the roles from the raw dataset.json, which is the one that people edit."""
        try:
            return cls.of(dataset_json(dataset))
        except ValueError as error:
            raise UserError(f"{dataset.raw / 'dataset.json'}: {error}; correct it.") from None

    @classmethod
    def of(cls, description: Mapping[str, Any]) -> "LabelRoles":
        """Return roles by the keys `labels` and `tf`; raise ValueError with half a sentence when they make no sense."""
        values = _labels(description)
        described = description.get("tf")
        if described is None:
            described = {}
        if not isinstance(described, dict):
            raise ValueError(f"tf must be an object, not {described!r}")
        regions = described.get("regions", {})
        if not isinstance(regions, dict):
            raise ValueError(f"tf.regions must be an object, not {regions!r}")
        tumour = tuple(sorted({value for label in values.values() for value in label} - {0}))
        if {"tumour", "organ", "regions"} & set(described):
            tumour = _named(described, "tumour", values, regions)
        if not tumour:
            raise ValueError("tf names no tumour, and the tumour's labels belong under tf.tumour")
        priority, diffuse = (_in_order(described, key, values, regions) for key in ("priority", "diffuse"))
        for key, classes in (("priority", priority), ("diffuse", diffuse)):
            if not set(classes) <= set(tumour):
                raise ValueError(f"tf.{key} names classes that are no tumour")
        return cls(tumour, _named(described, "organ", values, regions), priority, diffuse)


def class_values(dataset: Dataset) -> dict[str, int]:
    """Return the value of each of the tumour's classes by name: the classes under key `tf`, else the labels."""
    description = dataset_json(dataset)
    tumour, described = LabelRoles.read(dataset).tumour, description.get("tf") or {}
    values = _labels(description)
    names = described.get("tumour") or list(values)
    classes = {name: _values_of_class("tumour", name, values, described.get("regions", {})) for name in names}
    return {name: min(stored) for name, stored in classes.items() if len(stored) == 1 and stored <= set(tumour)}


def read_regions(dataset: Dataset) -> dict[str, tuple[int, ...]]:
    """Return the values of the regions that are scored, by name: those of key `tf`, else every label by itself."""
    try:
        return regions(dataset_json(dataset))
    except ValueError as error:
        raise UserError(f"{dataset.raw / 'dataset.json'}: {error}; correct it.") from None


def regions(description: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return regions by the keys `labels` and `tf`; raise ValueError with half a sentence when they make no sense."""
    LabelRoles.of(description)
    values = _labels(description)
    described = (description.get("tf") or {}).get("regions")
    if not described:
        return {name: tuple(sorted(label)) for name, label in values.items() if label != {0}}
    by_region = {}
    for name, members in described.items():
        parts = [name] if name in values else members
        unknown = [part for part in parts if part not in values] if isinstance(parts, list) else [parts]
        if unknown:
            raise ValueError(
                f"tf.regions: {name} names {unknown[0]}, which is none of the labels ({', '.join(values)})"
            )
        by_region[name] = tuple(sorted(set().union(*(values[part] for part in parts))))
    return by_region


def _named(
    described: Mapping[str, Any], key: str, values: Mapping[str, set[int]], regions: Mapping[str, Sequence[str]]
) -> tuple[int, ...]:
    """Return the values of the labels or classes listed under a key.

    Where labels are overlapping regions, a class need not be a label: it has the values of the regions that hold it
    and no class that is not listed.
    """
    names = _listed(described, key)
    whole = [region for region, members in regions.items() if region in values and set(members) <= set(names)]
    chosen: set[int] = set()
    for name in names:
        holders = [name] if name in values else [region for region in whole if name in regions[region]]
        if not holders:
            raise _unknown(key, name, values)
        chosen |= set().union(*(values[holder] for holder in holders))
    return tuple(sorted(chosen))


def _listed(described: Mapping[str, Any], key: str) -> list[str]:
    names = described.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"tf.{key} must be a list of labels' names, not {names!r}")
    return names


def _in_order(
    described: Mapping[str, Any], key: str, values: Mapping[str, set[int]], regions: Mapping[str, Sequence[str]]
) -> tuple[int, ...]:
    """Return the values of the classes listed under a key, in the order of the list."""
    ordered: list[int] = []
    for name in _listed(described, key):
        ordered += sorted(_values_of_class(key, name, values, regions) - set(ordered))
    return tuple(ordered)


def _values_of_class(
    key: str, name: str, values: Mapping[str, set[int]], regions: Mapping[str, Sequence[str]]
) -> set[int]:
    """Return the values of a class: its label's, else those that all regions with it have and no other region has."""
    if name in values:
        return values[name]
    holding = [values[region] for region, members in regions.items() if region in values and name in members]
    others = [values[region] for region, members in regions.items() if region in values and name not in members]
    if not holding:
        raise _unknown(key, name, values)
    return set.intersection(*holding) - set().union(*others)


def _unknown(key: str, name: str, values: Mapping[str, set[int]]) -> ValueError:
    overlap = sum(map(len, values.values())) > len(set().union(*values.values()))
    cure = "; where labels are regions, tf.regions says which classes each of them has" if overlap else ""
    return ValueError(f"tf.{key} names {name}, which is none of the labels ({', '.join(values)}){cure}")


def label_values(description: Mapping[str, Any]) -> dict[str, set[int]]:
    """Return the values that each label stands for, by the label's name."""
    return {name: _values(value) for name, value in description["labels"].items()}


def _labels(description: Mapping[str, Any]) -> dict[str, set[int]]:
    return {name: values for name, values in label_values(description).items() if name != IGNORE}


def _values(value: int | Iterable[int]) -> set[int]:
    return {value} if isinstance(value, int) else set(value)
