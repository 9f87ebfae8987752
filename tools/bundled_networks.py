"""What is said of each bundled network: its source, its variant, and where its count of MACs comes from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from simulator.workload import Network


@dataclass(frozen=True, slots=True)
class Description:
    """One network.

    Attributes:
        source: who describes it, and which implementation the file was made from.
        variant: which of the networks of that name it is, for which input, and what the file changed.
        macs_source: what the number of multiply-accumulates was checked against, in one phrase.
    """

    source: str
    variant: str
    macs_source: str


_TORCH = "torch 2.14.1"
_TORCHVISION = "torchvision 0.29.1"
_TRANSFORMERS = "transformers 5.24.0"
_EXECUTED = f"executed by {_TORCH}, layer by layer"
_RUN_BY_ONNX = "executed by onnxruntime 1.31.1"


def _model_zoo(model: str) -> str:
    return f"ONNX model zoo, {model}.onnx of the onnx package, Apache-2.0"


DESCRIPTIONS: Final = {
    "alexnet": Description(
        "Krizhevsky et al., NIPS 2012, section 3.5; two groups, 227-pixel input",
        "two groups in conv2, conv4 and conv5, 227 x 227; no export: the onnx package's has 224 pixels and smaller maps",
        "Eyeriss, ISSCC 2016: convolutions 666 M",
    ),
    "bert_base": Description(
        f"Devlin et al., arXiv 1810.04805; BertModel of {_TRANSFORMERS} by its default configuration",
        "uncased BERT-Base with pooler, 128 tokens; no head",
        f"{_EXECUTED}; 12 (12 s d^2 + 2 s^2 d) + d^2, s = 128, d = 768",
    ),
    "convnext_tiny": Description(
        f"Liu et al., arXiv 2201.03545, ConvNeXt-T; convnext_tiny of {_TORCHVISION}",
        "ConvNeXt-T, 224 x 224; normalization beside the residual is work, not folded",
        f"{_EXECUTED}; the paper: 4.5 G; torchvision: 4.456 G",
    ),
    "densenet121": Description(
        _model_zoo("light_densenet121"),
        "DenseNet-121, growth 32, 224 x 224; the export writes normalization as factors and offsets",
        f"torchvision: 2.834 G; its model {_EXECUTED}",
    ),
    "efficientnet_b0": Description(
        f"Tan and Le, arXiv 1905.11946, EfficientNet-B0; efficientnet_b0 of {_TORCHVISION}",
        "EfficientNet-B0 with squeeze and excitation, 224 x 224; padding as in PyTorch, even on both sides",
        f"{_EXECUTED}; the paper: 0.39 G; torchvision: 0.386 G",
    ),
    "googlenet": Description(
        "Szegedy et al., arXiv 1409.4842, table 1; no auxiliary classifiers",
        "Inception v1 with 5x5 convolutions, 224 x 224, inference only; no export: the onnx package's has smaller maps",
        "ten of the twelve rows of the paper's table",
    ),
    "gpt2": Description(
        f"Radford et al., 2019, Language Models are Unsupervised Multitask Learners; GPT2LMHeadModel of {_TRANSFORMERS} by its default configuration",
        "GPT-2 small (124 M parameters), 1,024 tokens at once, logits of all of them; attention computes the masked half too",
        f"{_EXECUTED}; nanoGPT's transformer_sizing.ipynb: 291,648,307,200 operations",
    ),
    "gpt2_decode": Description(
        f"Radford et al., 2019, Language Models are Unsupervised Multitask Learners; GPT2LMHeadModel of {_TRANSFORMERS} by its default configuration",
        "GPT-2 small, one token with the keys and values of 1,023 earlier ones",
        f"{_EXECUTED}; 12 (12 d^2 + 2 t d) + v d, t = 1,024, d = 768, v = 50,257",
    ),
    "inception_v2": Description(
        _model_zoo("light_inception_v2"),
        "BN-Inception (arXiv 1502.03167), not the Inception v2 of arXiv 1512.00567; 224 x 224",
        f"{_RUN_BY_ONNX}; no published count found",
    ),
    "llama_1b": Description(
        f"Sizes of Llama 3.2 1B (Meta, 2024): width 2,048, 16 layers, 32 heads, 8 of keys and values, 8,192 hidden, 128,256 tokens; LlamaForCausalLM of {_TRANSFORMERS}",
        "prefill of 512 tokens, logits of the last; 4 heads share keys and values; attention computes the masked half too",
        f"{_EXECUTED}; 16 (s (2 d^2 + 2 d 512 + 3 d 8,192) + 2 s^2 d) + v d, s = 512, d = 2,048, v = 128,256",
    ),
    "llama_1b_decode": Description(
        f"Sizes of Llama 3.2 1B (Meta, 2024): width 2,048, 16 layers, 32 heads, 8 of keys and values, 8,192 hidden, 128,256 tokens; LlamaForCausalLM of {_TRANSFORMERS}",
        "one token with the keys and values of 511 earlier ones; 4 heads share keys and values",
        f"{_EXECUTED}; 16 (2 d^2 + 2 d 512 + 3 d 8,192 + 2 t d) + v d, t = 512, d = 2,048, v = 128,256",
    ),
    "mobilenet_v1": Description(
        "Howard et al., arXiv 1704.04861, table 1; width 1.0, 224 pixels",
        "width 1.0, 224 x 224",
        "the paper, table 8: 569 M",
    ),
    "mobilenet_v2": Description(
        "Sandler et al., arXiv 1801.04381, table 2; width 1.0, 224 pixels",
        "width 1.0, 224 x 224",
        f"the paper, table 4: 300 M; torchvision: 0.301 G; its model {_EXECUTED}",
    ),
    "resnet18": Description(
        "He et al., arXiv 1512.03385, table 1, 18-layer; projection shortcuts",
        "projection shortcuts (option B), 224 x 224",
        f"torchvision: 1.814 G; its model {_EXECUTED}",
    ),
    "resnet50": Description(
        _model_zoo("light_resnet50"),
        "v1.5: the 3x3 convolution has the stride of 2, not the 1x1 before it as in the paper; 224 x 224",
        f"torchvision: 4.089 G; its model {_EXECUTED}; the paper's v1: 3.8 G",
    ),
    "shufflenet": Description(
        _model_zoo("light_shufflenet"),
        "g = 4 at half width (136, 272, 544 channels), 224 x 224; bottlenecks as wide as their results, not a quarter, so not the paper's 0.5x",
        f"{_RUN_BY_ONNX}; 0.125 G, quoted for this graph",
    ),
    "squeezenet": Description(
        _model_zoo("light_squeezenet"),
        "version 1.1 (64 3x3 filters first, earlier pooling), 224 x 224",
        f"torchvision squeezenet1_1: 0.349 G; its model {_EXECUTED}",
    ),
    "swin_t": Description(
        f"Liu et al., arXiv 2103.14030, Swin-T; swin_t of {_TORCHVISION}",
        "Swin-T, windows of 7 x 7, 224 x 224",
        f"{_EXECUTED}; the paper: 4.5 G; torchvision: 4.491 G",
    ),
    "unet": Description(
        "Ronneberger et al., arXiv 1505.04597, figure 1; tools/zoo/own_models.py",
        "the paper's: 572 x 572 in, 388 x 388 out, no padding, two classes, up-convolutions of 2x2",
        f"{_EXECUTED}; figure 1 by hand",
    ),
    "vgg16": Description(
        "Simonyan and Zisserman, arXiv 1409.1556, table 1, column D",
        "configuration D, 224 x 224",
        f"torchvision: 15.47 G; its model {_EXECUTED}",
    ),
    "vgg19": Description(
        _model_zoo("light_vgg19"),
        "configuration E, 224 x 224",
        f"torchvision: 19.632 G; its model {_EXECUTED}",
    ),
    "vit_b32": Description(
        "Dosovitskiy et al., arXiv 2010.11929, table 1, ViT-Base; 32-pixel patches",
        "ViT-B/32, 224 x 224, classifier of 1,000 on the class token",
        f"torchvision: 4.41 G; its model {_EXECUTED}",
    ),
    "whisper_tiny_decode": Description(
        f"Radford et al., arXiv 2212.04356, table 1, tiny; WhisperForConditionalGeneration of {_TRANSFORMERS}",
        "one token with the keys and values of 223 earlier ones and of the recording (1,500 positions)",
        f"{_EXECUTED}; 4 (14 d^2 + 2 t d + 2 p d) + v d, t = 224, p = 1,500, d = 384, v = 51,865",
    ),
    "whisper_tiny_decoder": Description(
        f"Radford et al., arXiv 2212.04356, table 1, tiny; WhisperForConditionalGeneration of {_TRANSFORMERS}",
        "the first four tokens, with the keys and values of the recording (1,500 positions) that all later ones use",
        f"{_EXECUTED}; 4 (14 s d^2 + 2 s^2 d + 2 s p d + 2 p d^2) + s v d, s = 4, p = 1,500, d = 384, v = 51,865",
    ),
    "whisper_tiny_encoder": Description(
        f"Radford et al., arXiv 2212.04356, table 1, tiny; WhisperForConditionalGeneration of {_TRANSFORMERS}",
        "30 seconds: 80 mel bands x 3,000 frames, 1,500 positions",
        f"{_EXECUTED}; 3 d (80 x 3,000 + d p) + 4 (12 p d^2 + 2 p^2 d), p = 1,500, d = 384",
    ),
    "yolov3_tiny": Description(
        "Redmon and Farhadi, arXiv 1804.02767; cfg/yolov3-tiny.cfg of darknet; tools/zoo/own_models.py",
        "YOLOv3-tiny, 416 x 416, 80 classes; raw predictions on 13 x 13 and 26 x 26",
        f"{_EXECUTED}; darknet's site: 5.56 G operations",
    ),
    "zfnet512": Description(
        _model_zoo("light_zfnet512"),
        "ZFNet-512, not the paper's ZFNet (arXiv 1311.2901): 512 filters in conv3 to conv5, fc7 of 1,024, conv1 and conv2 without padding; 224 x 224",
        f"{_RUN_BY_ONNX}; no published count found",
    ),
}  # fmt: skip

FROM_PYTORCH: Final = (
    "bert_base", "convnext_tiny", "efficientnet_b0", "gpt2", "gpt2_decode", "llama_1b", "llama_1b_decode",
    "swin_t", "unet", "whisper_tiny_decode", "whisper_tiny_decoder", "whisper_tiny_encoder", "yolov3_tiny",
)  # fmt: skip
"""Networks whose files `python -m tools.zoo` writes; PyTorch is needed to write them again."""


def described(network: Network, name: str) -> Network:
    """The network under the name by which it is bundled, with what is said of it."""
    about = DESCRIPTIONS[name]
    return replace(
        network, name=name, source=about.source, variant=about.variant, macs_source=about.macs_source
    )
