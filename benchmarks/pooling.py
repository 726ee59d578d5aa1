"""How should class masks come to a feature map's resolution: by averaging, or by the nearest voxel?

    python -m benchmarks.pooling FOLDER

FOLDER is that of benchmarks.tf_aug_recovery. On the training cases at 2.5 mm, through the baseline's encoder: how many
classes of how many cases are lost at each stage, and, of what neither way loses, how far the classes' mean features lie
apart, in the spread of a class over the cases: what tells classes apart better is the better way.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool3d, interpolate

from benchmarks.tf_aug_real import baseline_of, hosts_of, prepared
from nnunetv2_tf.baseline.encoder import Encoder, crop_size
from nnunetv2_tf.dataset.label_roles import class_values
from nnunetv2_tf.geometry.boxes import centre_of, cut

WAYS: Mapping[str, Callable[[Tensor, list[int]], Tensor]] = {
    "average": lambda mask, size: adaptive_avg_pool3d(mask, size),  # pyright: ignore[reportArgumentType]
    "nearest": lambda mask, size: interpolate(mask, size, mode="nearest-exact"),
}


def main() -> None:
    """Print a table with a row for each way and stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="where nnU-Net's folders are")
    dataset = prepared(parser.parse_args().root.resolve())
    hosts, encoder, classes = hosts_of(dataset, "default"), Encoder.of(baseline_of(dataset)), class_values(dataset)
    size = crop_size(hosts.cohort.plan.manager.patch_size)
    by_way: dict[tuple[str, int], list[list[np.ndarray | None]]] = {}  # and stage: by case and class, mean features
    for case in hosts.cohort.training.values():
        opened = case.open()
        tumour = opened.tumour()
        volumes = (opened.image(), tumour)
        image, label = (torch.from_numpy(cut(volume, centre_of(tumour), size))[None] for volume in volumes)
        with torch.no_grad():
            features = encoder(image)
        masks = [(label == value).float()[:, None] for value in classes.values()]
        for way, resize in WAYS.items():
            for stage, feature in enumerate(features):
                shares = [resize(mask, list(feature.shape[2:]))[0, 0] if mask.any() else None for mask in masks]
                by_way.setdefault((way, stage), []).append(
                    [None if share is None else _mean(feature[0], share) for share in shares]
                )
    print("| masks | stage | there | lost | classes apart, in spreads |\n" + "|---" * 5 + "|")
    everyone = range(len(hosts.cohort.training))
    kept = {
        stage: [[all(_there(by_way[way, stage][i][k]) for way in WAYS) for k in range(len(classes))] for i in everyone]
        for _, stage in by_way
    }
    for (way, stage), cases in by_way.items():
        several = [mean for means in cases for mean in means if mean is not None]
        lost = sum(not _there(mean) for mean in several)
        there = [
            np.array([means[k] for means, both in zip(cases, kept[stage], strict=True) if both[k]])
            for k in range(len(classes))
        ]
        centres = np.array([means.mean(axis=0) for means in there])
        spread = np.mean([np.abs(means - means.mean(axis=0)).mean() for means in there])
        apart = np.mean([np.abs(centres[i] - centres[j]).mean() for i in range(len(centres)) for j in range(i)])
        print(f"| {way} | {stage + 1} | {len(several)} | {lost} | {apart / spread:.3f} |")


def _there(mean: np.ndarray | None) -> bool:
    return mean is not None and bool(np.isfinite(mean).all())


def _mean(feature: Tensor, share: Tensor) -> np.ndarray:
    """Return (F,): the mean of a feature map (F, z, y, x), weighted by shares (z, y, x); nan where no share is left."""
    total = float(share.sum())
    return (feature * share).sum(dim=(1, 2, 3)).numpy() / total if total else np.full(len(feature), np.nan)


if __name__ == "__main__":
    main()
