"""nnUNetv2_tf_synthesize: makes a set of synthetic cases, with labels, for a fold."""

import argparse
import sys
from pathlib import Path
from typing import Any

from nnunetv2_tf.io.arguments import (
    KEEP,
    add_method_arguments,
    add_trust_argument,
    check_keep,
    check_seed,
    command_parser,
    positive,
)
from nnunetv2_tf.io.errors import UserError, run_command

DESCRIPTION = """\
Makes synthetic tumour cases out of a fold's training cases and keeps them as a set, preprocessed and ready for
nnUNetv2_train -tr TFEnrichedTrainer_<set>. Nothing of a fold's validation cases goes into them. Run it again to
continue after an interruption, or with a larger -num_cases to add to the set.

Methods with healthy hosts put tumours of training cases into healthy scans (-healthy), transformed, as large as the
cohort's and where those lie; the options below "tumours" ask for others. By default the scans take over brightness
and sharpness of training cases first; with -preset paper they stay as they are."""

EXAMPLES = """\
methods: carvemix (the region around another patient's lesion replaces the same region), cutmix (a box does), tumorcp
(a tumour is changed, moved and pasted; also in healthy scans): in labelled scans, nothing to learn;
syntumor (handcrafted shapes in healthy scans, nothing to learn); tf_aug (coarse tumours in healthy scans), tf_gan
(refined ones), pix2pix (whole brains made from label maps), freetumor (what the baseline takes for tumours), difftumor
(drawn by diffusion in an autoencoder's latents): fit them first, nnUNetv2_tf_fit -h;
or module:Class, your own, derived from nnunetv2_tf.methods.base.Method (with healthy hosts, if it says so).

examples:
  nnUNetv2_tf_synthesize 501 3d_fullres 0 -m carvemix -num_cases 100 -s cm100
      100 cases for fold 0 of Dataset501, in nnUNet_raw/Dataset501_X/tf/cm100/fold_0
  nnUNetv2_train 501 3d_fullres 0 -tr TFEnrichedTrainer_cm100_100epochs_seed0
      trains with them
  nnUNetv2_tf_synthesize 501 3d_fullres 0 1 2 3 4 -m carvemix -num_cases 100 -s cm100 -np 8
      all folds, eight cases at once
  nnUNetv2_tf_synthesize 501 3d_fullres 0 -m carvemix -num_cases 1000 -s cm1000 -num_parts 10 -part_id 3
      the fourth of ten jobs on a cluster; the one that ends last finishes the set
  nnUNetv2_tf_synthesize 501 3d_fullres 0 -m carvemix -num_cases 20 -s plan --recipe_only
      only writes recipe.jsonl: which host gets whose tumour; change it, and use it with -recipe
  nnUNetv2_tf_synthesize 501 3d_fullres 0 -m tf_aug -healthy 601 -num_cases 100 -s seen -filter
      only cases whose tumour the baseline recognises, more than 0.7 of its voxels
  nnUNetv2_tf_synthesize 501 3d_fullres 0 -m tf_aug -healthy 601 -num_cases 50 -s small -volume_ml 1 10 -side left
      small tumours on the left, in the healthy scans of Dataset601
"""


def main() -> int:
    """Run the console command; return its exit code."""
    arguments = _parser().parse_args()
    return run_command(lambda: _run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("nnUNetv2_tf_synthesize", DESCRIPTION, EXAMPLES)
    add_method_arguments(parser)
    parser.add_argument(
        "-m",
        required=True,
        metavar="METHOD",
        help="carvemix, cutmix, difftumor, freetumor, pix2pix, syntumor, tf_aug, tf_gan, tumorcp, or module:Class",
    )
    parser.add_argument(
        "-healthy", metavar="HEALTHY", help="dataset of healthy scans, preprocessed by nnUNetv2_tf_preprocess_healthy"
    )
    parser.add_argument(
        "-pseudolabelled", metavar="DATASET",
        help="dataset of unlabelled scans whose tumours are donors, too, as nnUNetv2_tf_sets --pseudolabel found them",
    )  # fmt: skip
    parser.add_argument("-s", required=True, metavar="SET", help="the set's name: lower-case letters and digits")
    parser.add_argument(
        "-num_cases", type=positive, metavar="N", help="cases per fold (with -recipe, if left out: all its lines)"
    )
    parser.add_argument("-recipe", type=Path, metavar="FILE", help="a recipe.jsonl to follow instead of drawing one")
    parser.add_argument("--recipe_only", action="store_true", help="write the recipe and stop")
    parser.add_argument("-seed", type=int, metavar="K", help="same seed, same cases (default: 0)")
    parser.add_argument("-np", type=positive, default=2, metavar="N", help="cases worked on at once (default: 2)")
    parser.add_argument(
        "-device", default="cpu", choices=["cuda", "cpu"], help="where trained networks work (default: cpu)"
    )
    parser.add_argument("-num_parts", type=positive, default=1, metavar="N", help="jobs that share the work")
    parser.add_argument("-part_id", type=int, default=0, metavar="I", help="which of them this is, from 0")
    parser.add_argument("-T", type=positive, metavar="N", help="steps of difftumor's diffusion (default: 4)")
    tumours = parser.add_argument_group(
        "tumours", "what those in healthy hosts, and tumorcp's, are to be like (else like the cohort's)"
    )
    tumours.add_argument("-volume_ml", type=float, nargs=2, metavar=("MIN", "MAX"), help="volume of all classes, in ml")
    tumours.add_argument("-side", choices=["left", "right"], help="of the patient, by the tumour's centre")
    tumours.add_argument(
        "-center", type=float, nargs=3, metavar=("X", "Y", "Z"),
        help="where the tumour's centre lies: mm in the healthy scans' space, X to the left, Y to the back, Z up",
    )  # fmt: skip
    tumours.add_argument("-radius", type=float, metavar="MM", help="how far from -center it may lie")
    tumours.add_argument("-components", type=positive, nargs=2, metavar=("MIN", "MAX"), help="separate pieces")
    tumours.add_argument(
        "-mass_effect", type=float, nargs=2, metavar=("MIN", "MAX"),
        help="how strongly tumours push tissue aside, 0 to 1.5: what is in a core had exp(-E) of its volume before "
        "(default: as the fold's training patients show)",
    )  # fmt: skip
    tumours.add_argument(
        "-class_fraction", action="append", nargs=3, metavar=("CLASS", "MIN", "MAX"),
        help="a class's share of the volume, 0 to 1; may be given for several classes",
    )  # fmt: skip
    quality = parser.add_argument_group(
        "quality", "which finished cases join the set; quality.csv beside them tells of all, overview.png shows some"
    )
    quality.add_argument(
        "-filter", action="store_true",
        help="keep a case only if the fold's baseline recognises its tumour; others replace those that are left out",
    )  # fmt: skip
    quality.add_argument(
        "-keep", type=float, nargs=2, metavar=("LOW", "HIGH"),
        help="with -filter: keep cases of whose tumour the baseline recognises more than LOW and at most HIGH (0.7 1)",
    )  # fmt: skip
    quality.add_argument(
        "-tr", metavar="TRAINER",
        help="with -filter or -pseudolabelled: whose finished training is the baseline (that of the method's fit, "
        "else TFBaselineTrainer)",
    )  # fmt: skip
    add_trust_argument(quality)
    parser.add_argument(
        "--overwrite", action="store_true", help="delete the folds' parts of this set and make them anew"
    )
    return parser


def _run(arguments: argparse.Namespace) -> None:
    if arguments.num_cases is None and arguments.recipe is None:
        raise UserError("Say how many cases: -num_cases N (or give a recipe with -recipe FILE).")
    if arguments.overwrite and arguments.num_parts > 1:
        raise UserError("--overwrite would delete what other parts have made; remove the set first (nnUNetv2_tf_sets).")
    if arguments.overwrite and arguments.recipe_only:
        raise UserError("--overwrite deletes cases and --recipe_only makes none; choose one of them.")
    if arguments.seed is not None and arguments.recipe is not None:
        raise UserError("A recipe has its own seeds; give -seed or -recipe.")
    asked = _asked(arguments)
    if asked and arguments.recipe is not None:
        raise UserError(f"A recipe says what tumours are like; give -{next(iter(asked))} or -recipe.")
    check_seed(arguments.seed)
    keep = _kept_band(arguments)
    from nnunetv2_tf.io.parallel import Share
    from nnunetv2_tf.synthesis.requests import SynthesizeRequest, synthesize

    synthesize(
        SynthesizeRequest(
            dataset=arguments.dataset,
            configuration=arguments.configuration,
            folds=tuple(arguments.folds),
            method=arguments.m,
            healthy=arguments.healthy,
            preset=arguments.preset,
            plans=arguments.p,
            seed=arguments.seed or 0,
            device=arguments.device,
            overwrite=arguments.overwrite,
            kept_gb=arguments.kept_gb,
            set_name=arguments.s,
            num_cases=arguments.num_cases,
            asked=asked,
            recipe=arguments.recipe,
            recipe_only=arguments.recipe_only,
            share=Share(arguments.num_parts, arguments.part_id),
            num_processes=arguments.np,
            keep=keep,
            steps=arguments.T,
            pseudolabelled=arguments.pseudolabelled,
            trainer=arguments.tr,
            trust_checkpoint=arguments.trust_checkpoint,
        )
    )


def _kept_band(arguments: argparse.Namespace) -> tuple[float, float] | None:
    """Return the band of shares that the filter keeps; None without a filter."""
    if not arguments.filter:
        if arguments.keep is not None:
            raise UserError("-keep says how to filter; give -filter too, or leave -keep out.")
        if arguments.tr is not None and arguments.pseudolabelled is None:
            raise UserError("-tr says who filters; give -filter or -pseudolabelled too, or leave -tr out.")
        return None
    return check_keep(*(arguments.keep or KEEP))


def _asked(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what the tumours are to be like, by the fields of TumourConstraints."""
    asked: dict[str, Any] = {}
    for name in ("volume_ml", "side", "center", "radius", "components", "mass_effect"):
        value = getattr(arguments, name)
        if value is not None:
            asked[name] = value
    for name, *span in arguments.class_fraction or ():
        if name in asked.get("class_fraction", {}):
            raise UserError(f"-class_fraction {name} is given twice; say once what you want.")
        try:
            asked.setdefault("class_fraction", {})[name] = [float(number) for number in span]
        except ValueError:
            raise UserError(f"-class_fraction takes a class and two shares, not {name} {' '.join(span)}.") from None
    return asked


if __name__ == "__main__":
    sys.exit(main())
