"""Options of commands that run a trained network on images."""

from __future__ import annotations

from typing import Annotated

import typer

from simulator.cli import completion

ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Trained network: lenet5_fashion, resnet8_fashion, vit_fashion or an .onnx file with weights.",
        show_default=False,
        autocompletion=completion.trained_networks,
    ),
]
PreprocessOption = Annotated[
    str | None,
    typer.Option(
        "--preprocess",
        metavar="HOW",
        help="What is done to pixels of 0 to 255: imagenet, unit (the default: divide by 255), none, or keys"
        " such as scale=1/255,mean=0.5,std=0.5,crop=224 (docs/data.md).",
    ),
]
LabelsOption = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="FROM",
        help="Classes of images in files: a table (.csv), folders, names or none. By default what there is.",
    ),
]
InferenceMacOption = Annotated[
    str,
    typer.Option(
        "--mac",
        "-m",
        help='MAC of every layer: a preset or a spec like "e4m3 x e4m3".',
        autocompletion=completion.macs,
    ),
]
PolicyOption = Annotated[
    str | None,
    typer.Option(
        "--policy",
        "-p",
        help="How the network gets its formats: drop_in, max, percentile, mse, ffp8 or mixed, with options"
        " such as mse+gptq+bias_correction (docs/inference.md). By default what the MAC needs.",
        autocompletion=completion.policies,
    ),
]
PoliciesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--policy",
        "-p",
        metavar="[MAC=]POLICY",
        help="How the network gets its formats, as in `systolic infer`; again for a MAC of its own:"
        " -p mse -p elma8=drop_in. By default what each MAC needs.",
        autocompletion=completion.policies,
    ),
]
ImagesOption = Annotated[int | None, typer.Option("--images", "-n", help="Only the first so many images.")]
