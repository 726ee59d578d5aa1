"""A judge sees texture in the tumour and around it, and nothing out of view."""

import numpy as np
import torch

from nnunetv2_tf.training.judge import Judge, JudgeConfig, Shown, judged

SHORT = JudgeConfig(size=10, features=(6, 6), steps=60, batch=8, asked=4)


def shown(seed: int, noise: float = 0.3, depth: float = 0.0) -> Shown:
    rng = np.random.default_rng(seed)
    tumour = np.zeros((12, 12, 12), bool)
    tumour[3:9, 3:9, 3:9] = True
    image = rng.normal(0, 0.3, tumour.shape) + tumour * (depth + rng.normal(0, noise, tumour.shape))
    return Shown(image[None].astype(np.float32), tumour, np.ones_like(tumour))


def test_texture_is_learnt():
    seen = [*(shown(seed) for seed in range(6)), *(shown(seed, noise=1.2) for seed in range(10, 16))]
    asked = [*(shown(seed) for seed in range(20, 24)), *(shown(seed, noise=1.2) for seed in range(30, 34))]
    found = judged(seen, [False] * 6 + [True] * 6, asked, np.random.default_rng(0), SHORT)
    assert found[:4].max() < found[4:].min()


def test_what_is_out_of_view_does_not_count():
    torch.manual_seed(0)
    judge = Judge(1, SHORT).eval()
    tumour, view = torch.zeros(1, 1, 12, 12, 12), torch.zeros(1, 1, 12, 12, 12)
    tumour[..., 4:6, 4:6, 4:6], view[..., 2:8, 2:8, 2:8] = 1, 1
    image = torch.randn(1, 1, 12, 12, 12)
    other = image.clone()
    other[..., 11:, :, :] += 5  # further from the view than both convolutions reach
    answers = [judge(torch.cat([one, tumour], dim=1), view) for one in (image, other)]
    assert torch.equal(*answers)
    other[..., 4, 4, 4] += 5
    assert not torch.equal(answers[0], judge(torch.cat([other, tumour], dim=1), view))


def test_judges_leave_torch_s_own_random_numbers_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    judged([shown(0), shown(1, 1.0)], [False, True], [shown(2)], np.random.default_rng(0), SHORT)
    assert torch.equal(torch.rand(3), expected)
