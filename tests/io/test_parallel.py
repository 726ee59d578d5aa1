"""Workers share the cores: numpy's products of matrices work in one thread there, and come to the same."""

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from nnunetv2_tf.geometry.separable import smoothed
from nnunetv2_tf.io.parallel import in_parallel

VOLUME = np.random.default_rng(0).normal(size=(90, 120, 80)).astype(np.float32)


def blurred(_: int) -> tuple[set[int], bytes]:
    result = smoothed(VOLUME, (2.0, 3.0, 1.0))
    threads = {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}
    return threads, result.tobytes()


def test_a_worker_has_one_thread_and_the_same_results():
    found = list(in_parallel(blurred, [0, 1], 2, "Blurring"))
    assert [threads for threads, _ in found] == [{1}, {1}]
    for number in (1, 2, 5):
        with threadpool_limits(number, user_api="blas"):
            assert {blurred(0)[1], *(result for _, result in found)} == {found[0][1]}
