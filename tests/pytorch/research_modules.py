"""Forty modules as researchers write them, with their MACs worked out by hand.

Each is a function that makes the module, its inputs of two inferences, and the multiply-accumulates of both:
outputs times the terms of each sum. Elementwise products, poolings and normalizations have none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional


@dataclass(frozen=True)
class Case:
    """A module, what it is called with, and its MACs."""

    make: Callable[[], nn.Module]
    inputs: Callable[[], tuple[Any, ...]]
    macs: int


def image(*shape: int) -> Callable[[], tuple[Any, ...]]:
    return lambda: (torch.randn(*shape),)


class Forward(nn.Module):
    """Layers by name, and a function of the module and its inputs."""

    def __init__(self, run: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            if isinstance(part, torch.Tensor) and not isinstance(part, nn.Parameter):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)
        self.run = run

    def forward(self, *inputs: Any) -> Any:
        return self.run(self, *inputs)


def residual() -> nn.Module:
    return Forward(
        lambda m, x: (x + m.second(m.norm(m.first(x)).relu())).relu(),
        first=nn.Conv2d(4, 4, 3, padding=1, bias=False),
        norm=nn.BatchNorm2d(4),
        second=nn.Conv2d(4, 4, 3, padding=1),
    )


def inverted_residual() -> nn.Module:
    return Forward(
        lambda m, x: x + m.project(m.depth(m.expand(x))),
        expand=nn.Sequential(nn.Conv2d(4, 12, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU6()),
        depth=nn.Sequential(
            nn.Conv2d(12, 12, 3, padding=1, groups=12, bias=False), nn.BatchNorm2d(12), nn.Hardswish()
        ),
        project=nn.Conv2d(12, 4, 1),
    )


def squeeze_excite() -> nn.Module:
    return Forward(
        lambda m, x: x * m.up(m.down(functional.adaptive_avg_pool2d(x, 1)).relu()).sigmoid(),
        down=nn.Conv2d(8, 2, 1),
        up=nn.Conv2d(2, 8, 1),
    )


def split_heads(x: Any, heads: int) -> Any:
    batch, length, width = x.shape
    return x.reshape(batch, length, heads, width // heads).transpose(1, 2)


def masked_attention() -> nn.Module:
    def run(m: Any, x: Any, keep: Any) -> Any:
        query, key, value = (split_heads(part, 2) for part in m.qkv(x).chunk(3, -1))
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=keep[:, None, None, :])
        return m.out(mixed.transpose(1, 2).flatten(2))

    return Forward(run, qkv=nn.Linear(8, 24), out=nn.Linear(8, 8))


def causal_attention() -> nn.Module:
    def run(m: Any, x: Any) -> Any:
        query, key, value = (split_heads(part, 2) for part in m.qkv(x).split(8, -1))
        return functional.scaled_dot_product_attention(query, key, value, is_causal=True).flatten(2)

    return Forward(run, qkv=nn.Linear(8, 24, bias=False))


def rotated(x: Any, cos: Any, sin: Any) -> Any:
    left, right = x.chunk(2, -1)
    return x * cos + torch.cat((-right, left), -1) * sin


def rotary_attention() -> nn.Module:
    angles = torch.outer(torch.arange(6.0), 10.0 ** -torch.arange(2.0))
    angles = torch.cat((angles, angles), -1)

    def run(m: Any, x: Any) -> Any:
        query, key = (rotated(split_heads(part, 2), m.cos, m.sin) for part in (m.query(x), m.key(x)))
        return ((query @ key.mT) / 2).softmax(-1) @ split_heads(m.value(x), 2)

    return Forward(
        run,
        query=nn.Linear(8, 8),
        key=nn.Linear(8, 8),
        value=nn.Linear(8, 8),
        cos=angles.cos(),
        sin=angles.sin(),
    )


def grouped_query_attention() -> nn.Module:
    def run(m: Any, x: Any) -> Any:
        query = split_heads(m.query(x), 4)
        key, value = (split_heads(part, 2).repeat_interleave(2, 1) for part in (m.key(x), m.value(x)))
        return ((query @ key.transpose(-1, -2)).softmax(-1) @ value).transpose(1, 2).reshape(x.shape)

    return Forward(run, query=nn.Linear(8, 8), key=nn.Linear(8, 4), value=nn.Linear(8, 4))


def linear_attention() -> nn.Module:
    def run(m: Any, x: Any) -> Any:
        query, key = functional.elu(m.query(x)) + 1, functional.elu(m.key(x)) + 1
        context = torch.einsum("bld,ble->bde", key, x)
        total = 1 / torch.einsum("bld,bd->bl", query, key.sum(1))
        return torch.einsum("bld,bde,bl->ble", query, context, total)

    return Forward(run, query=nn.Linear(6, 4), key=nn.Linear(6, 4))


def gated_mlp() -> nn.Module:
    return Forward(
        lambda m, x: m.down(functional.silu(m.gate(x)) * m.up(m.norm(x))),
        norm=nn.RMSNorm(6),
        gate=nn.Linear(6, 16, bias=False),
        up=nn.Linear(6, 16, bias=False),
        down=nn.Linear(16, 6, bias=False),
    )


def mixture_of_experts() -> nn.Module:
    def run(m: Any, x: Any) -> Any:
        shares, chosen = m.router(x).softmax(-1).topk(2)
        weights = torch.zeros(x.shape[0], 3).scatter(1, chosen, shares)
        outputs = torch.stack([expert(x) for expert in m.experts], 1)
        return (outputs * weights.unsqueeze(-1)).sum(1)

    return Forward(run, router=nn.Linear(6, 3), experts=nn.ModuleList(nn.Linear(6, 5) for _ in range(3)))


def python_loop() -> nn.Module:
    def run(m: Any, x: Any) -> Any:
        for step, layer in enumerate(m.layers):
            x = layer(x).tanh() if step % 2 else layer(x).relu() + x
        return x

    return Forward(run, layers=nn.ModuleList(nn.Linear(5, 5) for _ in range(4)))


def parameter_list() -> nn.Module:
    tables = nn.ParameterList(nn.Parameter(torch.randn(5, 5) / 3) for _ in range(3))
    return Forward(
        lambda m, x: sum((x @ table for table in m.tables), m.shift), tables=tables, shift=torch.ones(5)
    )


def unrolled_cell(kind: type[nn.Module]) -> nn.Module:
    def run(m: Any, x: Any) -> Any:
        state = x.new_zeros(x.shape[0], 4)
        state = (state, state) if kind is nn.LSTMCell else state
        for step in range(3):
            state = m.cell(x[:, step], state)
        return state[0] if kind is nn.LSTMCell else state

    return Forward(run, cell=kind(5, 4))


def last_state() -> nn.Module:
    return Forward(
        lambda m, x: m.head(m.cells(x)[0][:, -1]), cells=nn.GRU(5, 4, batch_first=True), head=nn.Linear(4, 3)
    )


def bidirectional() -> nn.Module:
    return Forward(lambda m, x: m.cells(x)[0], cells=nn.LSTM(5, 4, bidirectional=True, batch_first=True))


def u_net() -> nn.Module:
    def run(m: Any, x: Any) -> Any:
        down = m.down(x).relu()
        inner = m.inner(functional.max_pool2d(down, 2)).relu()
        return m.out(torch.cat([down, m.up(inner)], 1))

    return Forward(
        run,
        down=nn.Conv2d(1, 4, 3, padding=1),
        inner=nn.Conv2d(4, 8, 3, padding=1),
        up=nn.ConvTranspose2d(8, 4, 2, stride=2),
        out=nn.Conv2d(8, 2, 1),
    )


def pyramid() -> nn.Module:
    def run(m: Any, x: Any) -> Any:
        parts = [
            functional.interpolate(
                m.convs[i](functional.adaptive_avg_pool2d(x, size)), x.shape[-2:], mode="bilinear"
            )
            for i, size in enumerate((1, 2, 4))
        ]
        return torch.cat([x, *parts], 1)

    return Forward(run, convs=nn.ModuleList(nn.Conv2d(4, 2, 1) for _ in range(3)))


def channel_shuffle() -> nn.Module:
    return Forward(
        lambda m, x: m.second(functional.channel_shuffle(m.first(x), 2)),
        first=nn.Conv2d(4, 8, 1, groups=2),
        second=nn.Conv2d(8, 4, 3, groups=4, padding=1),
    )


def patches() -> nn.Module:
    def run(m: Any, x: Any) -> Any:
        x = m.embed(x).flatten(2).transpose(1, 2)
        return torch.cat([m.token.expand(x.shape[0], -1, -1), x], 1) + m.places

    return Forward(
        run,
        embed=nn.Conv2d(3, 8, 4, stride=4),
        token=nn.Parameter(torch.randn(1, 1, 8)),
        places=nn.Parameter(torch.randn(1, 5, 8)),
    )


def windows() -> nn.Module:
    def run(m: Any, x: Any) -> Any:
        batch, height, width, channels = x.shape
        x = torch.roll(x, (-1, -1), (1, 2))
        x = x.view(batch, height // 2, 2, width // 2, 2, channels).permute(0, 1, 3, 2, 4, 5)
        x = m.mix(x.reshape(-1, 4, channels).transpose(1, 2)).transpose(1, 2)
        x = x.view(batch, height // 2, width // 2, 2, 2, channels).permute(0, 1, 3, 2, 4, 5)
        return torch.roll(x.reshape(batch, height, width, channels), (1, 1), (1, 2))

    return Forward(run, mix=nn.Linear(4, 4))


def index_operations() -> nn.Module:
    def run(m: Any, x: Any) -> Any:
        rows = m.inner(x).index_select(1, m.order)
        rows = rows.masked_fill(rows < 0, 0.5).gather(2, m.places.expand(rows.shape[0], -1, -1))
        return torch.where(rows > 1, rows, rows.flip(1)).cumsum(1)

    return Forward(
        run,
        inner=nn.Linear(5, 6),
        order=torch.tensor([2, 0, 1]),
        places=torch.tensor([[[0, 5], [1, 4], [2, 3]]]),
    )


def quantized_stub() -> nn.Module:
    from torch.ao.quantization import DeQuantStub, QuantStub

    return nn.Sequential(QuantStub(), nn.Conv2d(2, 3, 3), nn.ReLU(), DeQuantStub())


def binary_weights() -> nn.Module:
    return Forward(
        lambda m, x: functional.linear(x, m.inner.weight.sign() * m.inner.weight.abs().mean(), m.inner.bias),
        inner=nn.Linear(6, 4),
    )


def distances() -> nn.Module:
    def run(m: Any, x: Any) -> Any:
        squares = (x**2).sum(-1, keepdim=True) + (m.centres**2).sum(-1)
        return squares - 2 * x @ m.centres.T

    return Forward(run, centres=nn.Parameter(torch.randn(7, 5)))


def dynamic_filter() -> nn.Module:
    def run(m: Any, x: Any) -> Any:
        filters = m.made(x.mean((2, 3))).view(-1, 3, 1, 3)
        return torch.einsum(
            "bchw,bckw->bkhw", x.view(*x.shape[:2], -1, 3), filters.transpose(1, 2).expand(-1, 2, -1, -1)
        )

    return Forward(run, made=nn.Linear(2, 9))


def hyper_connections() -> nn.Module:
    return Forward(
        lambda m, x: torch.baddbmm(x, m.mix.expand(x.shape[0], -1, -1), x, beta=0.5) + m.first(x),
        mix=nn.Parameter(torch.randn(1, 4, 4)),
        first=nn.Linear(6, 6),
    )


def space_to_depth() -> nn.Module:
    return nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(8, 4, 1), nn.PixelShuffle(2))


def normalized_head() -> nn.Module:
    return Forward(
        lambda m, x: 10 * functional.normalize(m.inner(x)) @ functional.normalize(m.table, dim=1).T,
        inner=nn.Linear(6, 4),
        table=nn.Parameter(torch.randn(3, 4)),
    )


def text_cnn() -> nn.Module:
    def run(m: Any, ids: Any) -> Any:
        x = m.table(ids).transpose(1, 2)
        return torch.cat([conv(x).relu().amax(-1) for conv in m.convs], 1)

    return Forward(
        run,
        table=nn.Embedding(20, 6, padding_idx=0),
        convs=nn.ModuleList(nn.Conv1d(6, 4, size) for size in (2, 3)),
    )


def causal_convolution() -> nn.Module:
    return Forward(
        lambda m, x: m.gate(functional.pad(x, (4, 0))).sigmoid() * m.value(functional.pad(x, (4, 0))).tanh(),
        gate=nn.Conv1d(3, 4, 3, dilation=2),
        value=nn.Conv1d(3, 4, 3, dilation=2),
    )


def state_space() -> nn.Module:
    def run(m: Any, x: Any) -> Any:
        state, outputs = x.new_zeros(x.shape[0], 4), []
        for step in range(x.shape[1]):
            state = state * m.decay.sigmoid() + m.enter(x[:, step])
            outputs.append(m.leave(state))
        return torch.stack(outputs, 1)

    return Forward(run, decay=nn.Parameter(torch.randn(4)), enter=nn.Linear(3, 4), leave=nn.Linear(4, 3))


def graph_convolution() -> nn.Module:
    def run(m: Any, nodes: Any, edges: Any) -> Any:
        degree = edges.sum(-1, keepdim=True).clamp(min=1)
        return m.own(nodes) + (edges @ m.other(nodes)) / degree

    return Forward(run, own=nn.Linear(4, 5), other=nn.Linear(4, 5, bias=False))


def lower_rank() -> nn.Module:
    return Forward(
        lambda m, x: m.base(x) + 0.5 * (x @ m.down.T) @ m.up.T,
        base=nn.Linear(8, 6),
        down=nn.Parameter(torch.randn(2, 8)),
        up=nn.Parameter(torch.randn(6, 2)),
    )


def sine_features() -> nn.Module:
    return Forward(
        lambda m, x: m.head(
            torch.cat([(2 * math.pi * m.lift(x)).sin(), (2 * math.pi * m.lift(x)).cos()], -1)
        ),
        lift=nn.Linear(3, 8, bias=False),
        head=nn.Linear(16, 2),
    )


CASES: dict[str, Case] = {
    "residual": Case(residual, image(2, 4, 6, 6), 2 * 2 * 36 * 4 * 36),
    "inverted residual": Case(inverted_residual, image(2, 4, 6, 6), 2 * 36 * (12 * 4 + 12 * 9 + 4 * 12)),
    "squeeze and excite": Case(squeeze_excite, image(2, 8, 5, 5), 2 * (8 * 2 + 2 * 8)),
    "grouped": Case(lambda: nn.Conv2d(6, 9, 3, groups=3, stride=2), image(2, 6, 7, 7), 2 * 9 * 9 * 18),
    "depthwise with multiplier": Case(
        lambda: nn.Conv2d(3, 6, (3, 1), groups=3, padding=(1, 0)), image(2, 3, 5, 4), 2 * 20 * 6 * 3
    ),
    "dilated": Case(
        lambda: nn.Conv2d(2, 3, 3, dilation=(2, 3), padding="same"), image(2, 2, 8, 8), 2 * 64 * 3 * 18
    ),
    "circular padding": Case(
        lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), image(2, 2, 5, 5), 2 * 25 * 3 * 18
    ),
    "reflected padding in 1 dimension": Case(
        lambda: nn.Conv1d(2, 3, 5, padding=2, padding_mode="reflect"), image(2, 2, 9), 2 * 9 * 3 * 10
    ),
    "convolution in 3 dimensions": Case(
        lambda: nn.Sequential(nn.Conv3d(2, 3, (2, 3, 3), padding=(0, 1, 1)), nn.AvgPool3d(2)),
        image(2, 2, 5, 4, 4),
        2 * 4 * 16 * 3 * 36,
    ),
    # Every one of 25 inputs of 3 channels meets all 9 places of 2 filters.
    "transposed": Case(
        lambda: nn.ConvTranspose2d(3, 2, 3, stride=2, padding=1, output_padding=1),
        image(2, 3, 5, 5),
        2 * 25 * 3 * 2 * 9,
    ),
    "masked attention": Case(
        masked_attention,
        lambda: (torch.randn(2, 5, 8), torch.arange(5).expand(2, 5) < torch.tensor([[5], [3]])),
        2 * (5 * 8 * 24 + 2 * 2 * 5 * 5 * 4 + 5 * 8 * 8),
    ),
    "causal attention": Case(causal_attention, image(2, 5, 8), 2 * (5 * 8 * 24 + 2 * 2 * 5 * 5 * 4)),
    "rotary attention": Case(rotary_attention, image(2, 6, 8), 2 * (3 * 6 * 8 * 8 + 2 * 2 * 6 * 6 * 4)),
    "grouped-query attention": Case(
        grouped_query_attention, image(2, 5, 8), 2 * (5 * 8 * 16 + 2 * 4 * 5 * 5 * 2)
    ),
    "multi-head attention": Case(
        lambda: Forward(
            lambda m, x, y: m.inner(x, y, y, need_weights=False)[0],
            inner=nn.MultiheadAttention(8, 2, batch_first=True),
        ),
        lambda: (torch.randn(2, 3, 8), torch.randn(2, 5, 8)),
        2 * (3 * 64 + 5 * 128 + 2 * 2 * 3 * 5 * 4 + 3 * 64),
    ),
    "transformer layer": Case(
        lambda: nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, norm_first=True, activation="gelu"),
        image(2, 4, 8),
        2 * (4 * 64 * 4 + 2 * 2 * 4 * 4 * 4 + 2 * 4 * 8 * 12),
    ),
    "linear attention": Case(
        linear_attention, image(2, 5, 6), 2 * (2 * 5 * 6 * 4 + 5 * 4 * 6 + 5 * 4 + 5 * 4 * 6)
    ),
    "gated MLP": Case(gated_mlp, image(2, 3, 6), 2 * 3 * 3 * 6 * 16),
    "mixture of experts": Case(mixture_of_experts, image(2, 6), 2 * (6 * 3 + 3 * 6 * 5)),
    "loop in Python": Case(python_loop, image(2, 5), 2 * 4 * 25),
    "list of parameters": Case(parameter_list, image(2, 5), 2 * 3 * 25),
    "GRU cell": Case(lambda: unrolled_cell(nn.GRUCell), image(2, 3, 5), 2 * 3 * 12 * (5 + 4)),
    "LSTM cell": Case(lambda: unrolled_cell(nn.LSTMCell), image(2, 3, 5), 2 * 3 * 16 * (5 + 4)),
    "GRU": Case(last_state, image(2, 3, 5), 2 * (3 * 12 * (5 + 4) + 4 * 3)),
    "LSTM in both directions": Case(bidirectional, image(2, 3, 5), 2 * 2 * 3 * 16 * (5 + 4)),
    "U-Net": Case(u_net, image(2, 1, 8, 8), 2 * (64 * 4 * 9 + 16 * 8 * 36 + 16 * 8 * 4 * 4 + 64 * 8 * 2)),
    "pyramid of adaptive poolings": Case(pyramid, image(2, 4, 8, 8), 2 * (1 + 4 + 16) * 4 * 2),
    "channel shuffle": Case(channel_shuffle, image(2, 4, 5, 5), 2 * 25 * (8 * 2 + 4 * 18)),
    "pixel shuffle": Case(space_to_depth, image(2, 2, 6, 6), 2 * 9 * 8 * 4),
    "patches and a token": Case(patches, image(2, 3, 8, 8), 2 * 4 * 8 * 48),
    "shifted windows": Case(windows, image(2, 4, 4, 3), 2 * 4 * 3 * 16),
    "indices": Case(index_operations, image(2, 3, 5), 2 * 3 * 5 * 6),
    "quantization stubs": Case(quantized_stub, image(2, 2, 5, 5), 2 * 9 * 3 * 18),
    "binary weights": Case(binary_weights, image(2, 6), 2 * 24),
    "distances": Case(distances, image(2, 5), 2 * 35),
    "filters of the data": Case(dynamic_filter, image(2, 2, 4, 3), 2 * (2 * 9 + 3 * 4 * 3 * 2)),
    "batched product with a sum": Case(hyper_connections, image(2, 4, 6), 2 * (4 * 4 * 6 + 4 * 36)),
    "cosines": Case(normalized_head, image(2, 6), 2 * (24 + 12)),
    "words": Case(text_cnn, lambda: (torch.randint(0, 20, (2, 7)),), 2 * 4 * (6 * 12 + 5 * 18)),
    "causal convolution": Case(causal_convolution, image(2, 3, 8), 2 * 2 * 8 * 4 * 9),
    "state space": Case(state_space, image(2, 4, 3), 2 * 4 * 24),
    "graph convolution": Case(
        graph_convolution,
        lambda: (torch.randn(2, 5, 4), (torch.rand(2, 5, 5) > 0.5).float()),
        2 * (2 * 5 * 20 + 5 * 5 * 5),
    ),
    "low rank": Case(lower_rank, image(2, 8), 2 * (48 + 16 + 12)),
    "sines": Case(sine_features, image(2, 3), 2 * (2 * 24 + 32)),
}
