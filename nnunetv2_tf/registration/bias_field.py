"""N4 bias field correction. In: a scan and its brain mask. Out: the scan without the smooth shading of its coil."""

import numpy as np
import SimpleITK as sitk

COARSE = 4.0  # mm per voxel when the field is estimated; the field varies far more slowly


def corrected(image: sitk.Image, brain: sitk.Image) -> sitk.Image:
    """Return the corrected scan: float32, on the same grid, with the same mean inside the brain."""
    image = sitk.Cast(image, sitk.sitkFloat32)
    factors = [max(1, round(COARSE / size)) for size in image.GetSpacing()]
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetNumberOfThreads(1)
    n4.Execute(sitk.Shrink(image, factors), sitk.Shrink(brain, factors))
    result = image / sitk.Exp(sitk.Cast(n4.GetLogBiasFieldAsImage(image), sitk.sitkFloat32))
    inside = sitk.GetArrayViewFromImage(brain) > 0
    before, after = (float(np.mean(sitk.GetArrayViewFromImage(scan)[inside])) for scan in (image, result))
    return result * (before / after)
