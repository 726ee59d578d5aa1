"""nnUNetv2_tf_fit: lets a method learn from a fold's training cases and healthy scans."""

import argparse
import sys

from nnunetv2_tf.io.arguments import add_method_arguments, add_trust_argument, check_seed, command_parser, positive
from nnunetv2_tf.io.errors import run_command

DESCRIPTION = """\
Lets a method learn what it needs for making synthetic cases: from a fold's training cases (never its validation cases),
from healthy scans, and through the fold's baseline, which is an nnU-Net trained to the end on the real
cases. Run it again to continue after an interruption; what is finished is left as it is."""

EXAMPLES = """\
methods: tf_aug (stage 1 of Tumor Fabrication: a brightness a x + b for each tumour class and channel); tf_gan (stage 2:
a generator and a discriminator refine what tf_aug makes; fit tf_aug first, by the same preset); pix2pix (from maps to
images); freetumor (a generator against the baseline and a copy of it that learns to tell); autoencoder, and then
difftumor (diffusion in its latents, by the same preset); or module:Class, your own, with a fit of its own.
presets: default, paper, front (tf_aug and tf_gan: as default, and edema spreads along white matter); brief
(autoencoder, difftumor, freetumor, pix2pix, tf_gan) is the default for a short time.

examples:
  nnUNetv2_train 501 3d_fullres 0 -tr TFBaselineTrainer_100epochs_seed0
      the baseline
  nnUNetv2_tf_fit 501 3d_fullres 0 -m tf_aug -healthy 601 -tr TFBaselineTrainer_100epochs_seed0
      fits TF-Aug; log, progress.png and tf_aug.json in nnUNet_results/Dataset501_X/tf_aug_default_h601__...
  nnUNetv2_tf_fit 501 3d_fullres 0 -m tf_gan -healthy 601 -tr TFBaselineTrainer_100epochs_seed0
      then trains TF-GAN; besides, previews/ and generator.safetensors. nnUNet_n_proc_DA processes make its batches
  nnUNetv2_tf_fit 501 3d_fullres 0 -m freetumor -healthy 601 -unlabelled 602 -tr TFBaselineTrainer_100epochs_seed0
      FreeTumor, with scans that nobody has labelled (nnUNetv2_tf_convert_brats --unlabelled makes 602)
  torchrun --nnodes 2 --nproc_per_node 1 --rdzv_backend c10d --rdzv_endpoint NODE -m nnunetv2_tf.commands.fit 501 ...
      the same on two machines; each batch is shared, so its size has to be a multiple of the number of GPUs
  nnUNetv2_tf_synthesize 501 3d_fullres 0 -m tf_gan -healthy 601 -num_cases 100 -s tf100 -device cuda
      makes cases with both
"""


def main() -> int:
    """Run the console command; return its exit code."""
    arguments = _parser().parse_args()
    return run_command(lambda: _run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("nnUNetv2_tf_fit", DESCRIPTION, EXAMPLES)
    add_method_arguments(parser)
    learners = "autoencoder, difftumor, freetumor, pix2pix, tf_aug, tf_gan, or module:Class"
    parser.add_argument("-m", required=True, metavar="METHOD", help=learners)
    parser.add_argument("-healthy", required=True, metavar="HEALTHY", help="dataset of healthy scans")
    parser.add_argument(
        "-unlabelled", metavar="DATASET",
        help="dataset of unlabelled scans, which may show tumours; freetumor learns in these, too",
    )  # fmt: skip
    parser.add_argument(
        "-tr", default="TFBaselineTrainer", metavar="TRAINER",
        help="whose finished training is the baseline (default: TFBaselineTrainer)",
    )  # fmt: skip
    add_trust_argument(parser)
    parser.add_argument("-device", default="cuda", choices=["cuda", "cpu"], help="default: cuda")
    parser.add_argument(
        "-num_gpus", type=positive, default=1, metavar="N",
        help="GPUs of this machine that share each batch, for tf_gan, whose batch of 2 has room for two (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "-seed",
        type=int,
        default=0,
        metavar="K",
        help="same seed, same fit on a CPU of one kind with as many threads (default: 0)",
    )
    parser.add_argument("--c", action="store_true", help="as nnUNetv2_train has it; a fit goes on in any case")
    parser.add_argument("--overwrite", action="store_true", help="delete the folds' fits of this method and fit anew")
    return parser


def _run(arguments: argparse.Namespace) -> int | None:
    check_seed(arguments.seed)
    from nnunetv2_tf.training.distributed import check_gpus, is_member, launch

    if arguments.num_gpus > 1 and not is_member():
        from nnunetv2_tf.synthesis.fitting import usable_device

        check_gpus(arguments.num_gpus, usable_device(arguments.device))
        return launch(arguments.num_gpus, _fit, arguments)
    return _fit(arguments)


def _fit(arguments: argparse.Namespace) -> None:
    from nnunetv2_tf.synthesis.requests import FitRequest, fit

    fit(
        FitRequest(
            dataset=arguments.dataset,
            configuration=arguments.configuration,
            folds=tuple(arguments.folds),
            method=arguments.m,
            healthy=arguments.healthy,
            preset=arguments.preset,
            plans=arguments.p,
            seed=arguments.seed,
            device=arguments.device,
            overwrite=arguments.overwrite,
            kept_gb=arguments.kept_gb,
            trainer=arguments.tr,
            trust_checkpoint=arguments.trust_checkpoint,
            unlabelled=arguments.unlabelled,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
