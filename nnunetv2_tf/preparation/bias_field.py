"""N4 bias field correction. In: a scan and its brain. Out: the scan without the slow shading of its coil."""

import numpy as np
import SimpleITK as sitk

COARSE = 4.0  # mm per voxel that the field is estimated on; it is far smoother


def corrected(image: sitk.Image, brain: sitk.Image) -> sitk.Image:
    """float32, on the same grid; the brain keeps its mean."""
    image = sitk.Cast(image, sitk.sitkFloat32)
    factors = [max(1, round(COARSE / size)) for size in image.GetSpacing()]
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetNumberOfThreads(1)
    n4.Execute(sitk.Shrink(image, factors), sitk.Shrink(brain, factors))
    result = image / sitk.Exp(sitk.Cast(n4.GetLogBiasFieldAsImage(image), sitk.sitkFloat32))
    inside = sitk.GetArrayViewFromImage(brain) > 0
    before, after = (float(np.mean(sitk.GetArrayViewFromImage(one)[inside])) for one in (image, result))
    return result * (before / after)
