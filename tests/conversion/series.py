"""Writes DICOM series as scanners do, with a patient in them."""

from pathlib import Path

import SimpleITK as sitk


def write_series(
    image: sitk.Image, folder: Path, uid: str = "1.2.826.0.1.3680043.2.1125.1", echo: float = 4.0
) -> list[Path]:
    """One file per slice; returns them in the order of their places."""
    folder.mkdir(parents=True, exist_ok=True)
    image = sitk.Cast(image, sitk.sitkInt16)
    direction, files = image.GetDirection(), []
    for index in range(image.GetDepth()):
        part = image[:, :, index]
        position = image.TransformIndexToPhysicalPoint((0, 0, index))
        tags = {
            "0010|0010": "Doe^Jane", "0010|0020": "patient-number", "0008|0060": "MR", "0020|000d": "1.2.3",
            "0020|000e": uid, "0020|0013": str(index), "0020|0032": "\\".join(f"{value:.6f}" for value in position),
            "0020|0037": "\\".join(f"{direction[i]:.8f}" for i in (0, 3, 6, 1, 4, 7)),
            "0018|0050": f"{image.GetSpacing()[2]:.6f}", "0008|0018": f"1.2.3.{round(echo)}.{index + 1}",
            "0018|0081": f"{echo:g}",
            "0008|0016": "1.2.840.10008.5.1.4.1.1.4",
        }  # fmt: skip
        for tag, value in tags.items():
            part.SetMetaData(tag, value)
        files.append(folder / f"echo_{echo:g}_slice_{97 - index:03d}.dcm")  # names in another order than places
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(files[-1]))
        writer.Execute(part)
    return files
