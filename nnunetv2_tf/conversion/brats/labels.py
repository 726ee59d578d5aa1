"""What the numbers in BraTS' label files mean, source by source, and the one numbering that our datasets have.

In: label maps and the source they are of. Out: label maps in the other numbering, and what dataset.json says of labels.
The same number means different things in different years (4 is ET until 2021, the resection cavity in 2024 gliomas,
edema in 2024 paediatric tumours), so labels are translated by a source's table and never by their value alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nnunetv2_tf.io.errors import UserError

OURS = {"NCR": 1, "ED": 2, "ET": 3, "RC": 4}  # RC only where a source has it
TUMOUR = ("NCR", "ED", "ET")
MODALITIES = ("t1n", "t1c", "t2w", "t2f")

_FLAIR_NAMES = {"t1n": "t1", "t1c": "t1ce", "t2w": "t2", "t2f": "flair"}
_SAME_NAMES = {name: name for name in MODALITIES}
_ET_IS_4 = {1: "NCR", 2: "ED", 4: "ET"}
_ET_IS_3 = {1: "NCR", 2: "ED", 3: "ET"}


@dataclass(frozen=True)
class Source:
    """One release of BraTS data: how its cases are named, its files end, and its labels count."""

    case: str  # pattern of a case's name; a group called `patient` is what its time points share
    separator: str
    modalities: Mapping[str, str]  # our name: the source's name
    values: Mapping[int, str]  # the source's value: our class
    citation: str

    def back(self, name: str) -> int:
        """Return the source's value for a class of ours; the first one where two of its classes became one."""
        return next(value for value, class_name in self.values.items() if class_name == name)


SOURCES = {
    "brats2018": Source(
        r"Brats18_(?P<patient>\w+)_\d+", "_", _FLAIR_NAMES, _ET_IS_4,
        "Bakas et al., arXiv:1811.02629: NCR/NET 1, ED 2, ET 4",
    ),
    "brats2019": Source(
        r"BraTS19_(?P<patient>\w+)_\d+", "_", _FLAIR_NAMES, _ET_IS_4,
        "Bakas et al., arXiv:1811.02629: NCR/NET 1, ED 2, ET 4",
    ),
    "brats2020": Source(
        r"(?P<patient>BraTS20_\w+_\d+)", "_", _FLAIR_NAMES, _ET_IS_4,
        "Bakas et al., arXiv:1811.02629: NCR/NET 1, ED 2, ET 4",
    ),
    "brats2021": Source(
        r"(?P<patient>BraTS2021_\d+)", "_", _FLAIR_NAMES, _ET_IS_4,
        "Baid et al., arXiv:2107.02314: NCR 1, ED 2, ET 4",
    ),
    "2023-gli": Source(
        r"(?P<patient>BraTS-GLI-\d+)-\d+", "-", _SAME_NAMES, _ET_IS_3,
        "BraTS 2023 adult glioma (data of Baid et al., arXiv:2107.02314, renumbered): NCR 1, ED 2, ET 3",
    ),
    "2023-ssa": Source(
        r"(?P<patient>BraTS-SSA-\d+)-\d+", "-", _SAME_NAMES, _ET_IS_3,
        "Adewole et al., arXiv:2305.19369: NCR 1, ED (SNFH) 2, ET 3",
    ),
    "2023-ped": Source(
        r"(?P<patient>BraTS-PED-\d+)-\d+", "-", _SAME_NAMES, _ET_IS_3,
        "Kazerooni et al., arXiv:2305.17033: NC (non-enhancing core) 1, ED 2, ET 3",
    ),
    "2023-men": Source(
        r"(?P<patient>BraTS-MEN-\d+)-\d+", "-", _SAME_NAMES, _ET_IS_3,
        "LaBella et al., arXiv:2305.07642: NETC 1, SNFH 2, ET 3",
    ),
    "2023-met": Source(
        r"(?P<patient>BraTS-MET-\d+)-\d+", "-", _SAME_NAMES, _ET_IS_3,
        "Moawad et al., arXiv:2306.00838: NETC 1, SNFH 2, ET 3",
    ),
    "2024-gli": Source(
        r"(?P<patient>BraTS-GLI-\d+)-\d+", "-", _SAME_NAMES, {**_ET_IS_3, 4: "RC"},
        "de Verdier et al., arXiv:2405.18368: NETC 1, SNFH 2, ET 3, resection cavity (RC) 4",
    ),
    "2024-ped": Source(
        r"(?P<patient>BraTS-PED-\d+)-\d+", "-", _SAME_NAMES, {1: "ET", 2: "NCR", 3: "NCR", 4: "ED"},
        "Kazerooni et al., arXiv:2404.15009: ET 1, NET 2, cystic component 3 (both non-enhancing core), ED 4",
    ),
    "msd": Source(
        r"(?P<patient>BRATS_\d+)", "", {"t2f": "0", "t1n": "1", "t1c": "2", "t2w": "3"}, {1: "ED", 2: "NCR", 3: "ET"},
        "Antonelli et al., Nature Communications 2022, Task01: edema 1, non-enhancing 2, enhancing 3; one 4D file",
    ),
}  # fmt: skip


def source_named(name: str) -> str:
    """Return the key of SOURCES that a name stands for; `2021` is short for `brats2021`."""
    key = f"brats{name}" if f"brats{name}" in SOURCES else name
    if key not in SOURCES:
        raise UserError(f"There is no source {name!r}; choose from {', '.join(SOURCES)}.")
    return key


def to_ours(label: np.ndarray, source: Source) -> np.ndarray:
    """Return a source's label map (Z, Y, X) in our numbering, uint8. Raises ValueError for values it lacks."""
    return _translated(label, {value: OURS[name] for value, name in source.values.items()})


def from_ours(label: np.ndarray, source: Source) -> np.ndarray:
    """Return our label map (Z, Y, X) in a source's numbering, uint8. Raises ValueError for classes it lacks."""
    return _translated(label, {OURS[name]: source.back(name) for name in dict.fromkeys(source.values.values())})


def dataset_labels(sources: Sequence[str], regions: bool) -> dict[str, object]:
    """Return the keys of dataset.json that say what labels mean: labels, regions_class_order, tf."""
    cavity = {"RC": OURS["RC"]} if any("RC" in SOURCES[name].values.values() for name in sources) else {}
    classes = {name: OURS[name] for name in TUMOUR}
    whole, core, enhancing = list(TUMOUR), ["NCR", "ET"], ["ET"]
    described = {
        "tf": {
            "tumour": whole,
            "organ": [],
            "priority": ["ET", "NCR", "ED"],
            "diffuse": ["ED"],
            "regions": {"WT": whole, "TC": core, "ET": enhancing},
        }
    }
    if not regions:
        return {"labels": {"background": 0, **classes, **cavity}, **described}
    nested = {"WT": whole, "TC": core, "ET": enhancing}
    labels = {name: [OURS[member] for member in members] for name, members in nested.items()}
    # the value written for each region, later ones over earlier ones: what is WT only is ED, what is TC only is NCR
    order = [OURS["ED"], OURS["NCR"], OURS["ET"], *cavity.values()]
    lists = {name: [value] for name, value in cavity.items()}
    return {"labels": {"background": 0, **labels, **lists}, "regions_class_order": order, **described}


def _translated(label: np.ndarray, table: Mapping[int, int]) -> np.ndarray:
    values = np.unique(label)
    strangers = [value for value in values.tolist() if value != 0 and value not in table]
    if strangers:
        raise ValueError(", ".join(f"{value:g}" for value in strangers))
    translated = np.zeros(label.shape, np.uint8)
    for value in values[values != 0].tolist():
        translated[label == value] = table[value]
    return translated
