"""Workers share the cores: products of matrices and ITK work in one thread there."""

import SimpleITK as sitk
from threadpoolctl import threadpool_info

from nnunetv2_tf.io.parallel import in_parallel


def threads(_: int) -> list[int]:
    import numpy as np

    assert (np.ones((4, 4)) @ np.ones((4, 4)) == 4).all()
    blas = [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
    return [*blas, sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()]


def test_a_worker_has_one_thread():
    for found in in_parallel(threads, [0, 1], 2, "Counting"):
        assert len(found) >= 2
        assert set(found) == {1}
