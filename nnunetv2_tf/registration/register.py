"""Registration of a brain to a reference. In: two scans without skull, 0 outside the brain. Out: one affine transform.

Rigid first, then affine; each by mutual information from coarse to fine. Both scans are resampled to cubic voxels of
2 mm (of their smallest spacing where that is larger): thick slices then count no less than thin ones, and finer voxels
cost time and improve nothing. All lengths are those for an adult's brain, and are scaled down for smaller ones.
Everything runs in one thread, so that the same scans give the same transform however many are registered at once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

RIGID_LEVELS = (8.0, 4.0)  # mm per voxel
AFFINE_LEVELS = (6.0, 4.0, 2.0)
ADULT_ML = 1400.0
BINS = 32
MARGIN = 6.0  # mm around the reference's brain in which similarity is measured


@dataclass(frozen=True)
class Registration:
    """The transform between a scan and the reference, and how similar they are without and with it."""

    transform: sitk.AffineTransform  # takes points of the reference to points of the scan, as resampling wants it
    before: float  # mutual information with only the centres of mass aligned
    after: float


def register(scan: sitk.Image, reference: sitk.Image) -> Registration:
    """Find the affine transform under which scan and reference have the most mutual information."""
    unit = _unit(reference)
    moving, fixed = (_isotropic(_ready(image), unit) for image in (scan, reference))
    mask = _around_brain(fixed, unit)
    start = by_moments(scan, reference)
    rigid = _climb(fixed, moving, mask, start, _scaled(RIGID_LEVELS, unit), step=4.0 * unit)
    affine = sitk.AffineTransform(3)
    affine.SetCenter(rigid.GetCenter())
    affine.SetMatrix(rigid.GetMatrix())
    affine.SetTranslation(rigid.GetTranslation())
    levels = _scaled(AFFINE_LEVELS, unit)
    affine = _climb(fixed, moving, mask, affine, levels, step=unit)
    affine = _climb(fixed, moving, mask, affine, levels[-1:], step=unit / 2)  # in case the last run stopped too early
    before, after = (similarity(fixed, moving, mask, transform) for transform in (start, affine))
    return Registration(affine, before, after)


def register_rigid(scan: sitk.Image, other: sitk.Image) -> sitk.Euler3DTransform:
    """Find the rigid transform between scans of one head, which hardly moved in between; skulls may be on."""
    unit = _unit(other)
    moving, fixed = (_isotropic(_ready(image), unit) for image in (scan, other))
    start = sitk.Euler3DTransform()
    start.SetCenter(other.TransformContinuousIndexToPhysicalPoint([size / 2 for size in other.GetSize()]))
    levels = _scaled((*RIGID_LEVELS, AFFINE_LEVELS[-1]), unit)
    return _climb(fixed, moving, _around_brain(fixed, unit), start, levels, step=unit)


def matrix_of(transform: sitk.AffineTransform) -> tuple[float, ...]:
    """Return the matrix (4, 4) of a transform, row by row."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(transform.GetMatrix(), (3, 3))
    matrix[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    return tuple(matrix.ravel().tolist())


def by_moments(scan: sitk.Image, reference: sitk.Image) -> sitk.Euler3DTransform:
    """Return the shift that aligns the scan's centre of mass with the reference's."""
    fixed, moving = (sitk.Cast(image != 0, sitk.sitkFloat32) for image in (reference, scan))
    moments = sitk.CenteredTransformInitializerFilter.MOMENTS
    return sitk.Euler3DTransform(sitk.CenteredTransformInitializer(fixed, moving, sitk.Euler3DTransform(), moments))


def similarity(fixed: sitk.Image, moving: sitk.Image, mask: sitk.Image, transform: sitk.Transform) -> float:
    """Return the mutual information in nats; larger is better."""
    method = _method(fixed, mask, fixed.GetSpacing()[:1])
    method.SetInitialTransform(transform)
    return -float(method.MetricEvaluate(fixed, moving))


def _unit(brain: sitk.Image) -> float:
    """Return the size of a brain relative to an adult's, along one side; 1 at most."""
    voxels = int((sitk.GetArrayViewFromImage(brain) != 0).sum())
    return min(1.0, (voxels * float(np.prod(brain.GetSpacing())) / 1000 / ADULT_ML) ** (1 / 3))


def _scaled(levels: Sequence[float], unit: float) -> tuple[float, ...]:
    return tuple(level * unit for level in levels)


def _ready(image: sitk.Image) -> sitk.Image:
    """Return an image of float, scaled so that the brain's 99.5th percentile is 1, and clipped to [0, 1]."""
    values = sitk.GetArrayViewFromImage(image)
    brightest = float(np.percentile(values[values != 0], 99.5))
    return sitk.Clamp(sitk.Cast(image, sitk.sitkFloat32) / brightest, sitk.sitkFloat32, 0.0, 1.0)


def _isotropic(image: sitk.Image, unit: float) -> sitk.Image:
    """Return an image resampled to cubic voxels."""
    size = max(AFFINE_LEVELS[-1] * unit, min(image.GetSpacing()))
    grid = sitk.ResampleImageFilter()
    grid.SetSize([max(1, math.ceil(n * s / size)) for n, s in zip(image.GetSize(), image.GetSpacing(), strict=True)])
    grid.SetOutputSpacing([size] * image.GetDimension())
    grid.SetOutputOrigin(image.GetOrigin())
    grid.SetOutputDirection(image.GetDirection())
    return grid.Execute(image)


def _around_brain(fixed: sitk.Image, unit: float) -> sitk.Image:
    return sitk.BinaryDilate(fixed > 0, [max(1, round(MARGIN * unit / fixed.GetSpacing()[0]))] * 3, sitk.sitkBall)


def _method(fixed: sitk.Image, mask: sitk.Image, levels: Sequence[float]) -> sitk.ImageRegistrationMethod:
    method: Any = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetNumberOfWorkUnits(1)
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricFixedMask(mask)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel([max(1, round(level / fixed.GetSpacing()[0])) for level in levels])
    method.SetSmoothingSigmasPerLevel([level / 2 for level in levels])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    return method


def _climb(
    fixed: sitk.Image, moving: sitk.Image, mask: sitk.Image, start: Any, levels: Sequence[float], step: float
) -> Any:
    """Return a transform of the type of `start` that is no worse, by gradient descent with a first step of so many mm.

    A first step that is too long may lead away from the optimum nearby; then shorter ones are tried.
    """
    least = similarity(fixed, moving, mask, start)
    for length in (step, step / 4):
        method: Any = _method(fixed, mask, levels)
        method.SetOptimizerAsRegularStepGradientDescent(
            learningRate=length,
            minStep=0.005,
            numberOfIterations=200,
            relaxationFactor=0.6,
            gradientMagnitudeTolerance=1e-6,
        )
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetInitialTransform(start, inPlace=False)
        result = method.Execute(fixed, moving)
        result = type(start)(result.GetBackTransform() if isinstance(result, sitk.CompositeTransform) else result)
        if similarity(fixed, moving, mask, result) >= least:
            return result
    return start
