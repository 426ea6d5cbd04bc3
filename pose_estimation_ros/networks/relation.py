"""Relation blocks: what two sets of features have to tell each other.

Every block maps features a and b to what is to be added to each. CR-Net relates shape with colour
and the object with its category; its ablation replaces the kind of block.

Source: Wang, Chen, Dou: Category-Level 6D Object Pose Estimation via Cascaded Relation and
Recurrent Reconstruction Networks, IROS 2021, section III-B and Table III; the released weights
(spec 1.2), whose layer names the transformer has.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RelationKind = Literal['none', 'mlp', 'nonlocal', 'transformer']

_HEADS = 4
_FEED_FORWARD = 1024
_BOTTLENECK = 512
_NORM_EPSILON = 1e-6


def relation_block(kind: RelationKind, width: int) -> nn.Module | None:
    """Return a block for features of that width, or None for the kind 'none'.

    The block maps (B, C, N) and (B, C, M) to the updates of both, of the same shapes; 'mlp'
    needs M = N.
    """
    if kind == 'none':
        return None
    blocks: dict[str, type[nn.Module]] = {
        'mlp': PerceptronRelation, 'nonlocal': NonLocalRelation,
        'transformer': TransformerRelation}
    block: nn.Module = blocks[kind](width)
    return block


class PerceptronRelation(nn.Module):
    """Two layers on each pair of features; both get the same update."""

    def __init__(self, width: int) -> None:
        """Create the layers for features of that width."""
        super().__init__()
        self.classifier = nn.Sequential(nn.ReLU(), nn.Linear(2 * width, _BOTTLENECK), nn.ReLU(),
                                        nn.Linear(_BOTTLENECK, width))

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Return the updates of (B, C, N) features a and b, of which the i-th belong together."""
        update = self.classifier(torch.cat([a, b], dim=1).transpose(1, 2)).transpose(1, 2)
        return update, update


class NonLocalRelation(nn.Module):
    """A non-local block over the features of both sets.

    Source: Wang et al.: Non-local Neural Networks, CVPR 2018, section 3: dot product, keys and
    values pooled by two, half the width inside, a last normalisation that starts at zero.
    """

    def __init__(self, width: int) -> None:
        """Create the layers for features of that width."""
        super().__init__()
        inner = width // 2
        self.query = nn.Conv1d(width, inner, 1)
        self.key = nn.Sequential(nn.Conv1d(width, inner, 1), nn.MaxPool1d(2))
        self.value = nn.Sequential(nn.Conv1d(width, inner, 1), nn.MaxPool1d(2))
        self.out = nn.Sequential(nn.Conv1d(inner, width, 1), nn.BatchNorm1d(width))
        nn.init.zeros_(self.out[1].weight)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Return the updates of (B, C, N) features a and (B, C, M) features b."""
        both = torch.cat([a, b], dim=2)
        key, value = self.key(both), self.value(both)
        # The dot product has no softmax, so keys and values are multiplied first: the same
        # answer without a matrix of all pairs.
        summary = value @ key.transpose(1, 2) / key.shape[2]
        # The block has a residual of its own, besides that of who adds the update.
        update = both + self.out(summary @ self.query(both))
        return update[:, :, :a.shape[2]], update[:, :, a.shape[2]:]


class TransformerRelation(nn.Module):
    """An encoder-decoder without positions: each set decodes what the other one encodes.

    Source: Wang, Solomon: Deep Closest Point, ICCV 2019, section 4.2.
    """

    def __init__(self, width: int) -> None:
        """Create the layers for features of that width."""
        super().__init__()
        self.model = _EncoderDecoder(width)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Return the updates of (B, C, N) features a and (B, C, M) features b."""
        a, b = a.transpose(1, 2), b.transpose(1, 2)
        return self.model(a, b).transpose(1, 2), self.model(b, a).transpose(1, 2)


class _EncoderDecoder(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder = _Stack(_EncoderLayer(width), width)
        self.decoder = _Stack(_DecoderLayer(width), width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Return the update of (B, N, C) rows x under the (B, M, C) rows of the context."""
        memory = self.encoder.norm(self.encoder.layers[0](context))
        update: Tensor = self.decoder.norm(self.decoder.layers[0](x, memory))
        return update


class _Stack(nn.Module):
    """One layer and the normalisation behind it, by their published names."""

    def __init__(self, layer: nn.Module, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([layer])
        self.norm = _Normalisation(width)


class _EncoderLayer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.self_attn = _Attention(width)
        self.feed_forward = _FeedForward(width)
        self.sublayer = nn.ModuleList(_Sublayer(width) for _ in range(2))

    def forward(self, y: Tensor) -> Tensor:
        seen = self.sublayer[0].norm(y)
        y = y + self.self_attn(seen, seen)
        return y + self.feed_forward(self.sublayer[1].norm(y))


class _DecoderLayer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.self_attn = _Attention(width)
        self.src_attn = _Attention(width)
        self.feed_forward = _FeedForward(width)
        self.sublayer = nn.ModuleList(_Sublayer(width) for _ in range(3))

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        seen = self.sublayer[0].norm(x)
        x = x + self.self_attn(seen, seen)
        x = x + self.src_attn(self.sublayer[1].norm(x), memory)
        return x + self.feed_forward(self.sublayer[2].norm(x))


class _Sublayer(nn.Module):
    """The normalisation before a sublayer, by its published name."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = _Normalisation(width)


class _Normalisation(nn.Module):
    """Layer normalisation by the deviation of a sample, with epsilon outside the root."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a_2 = nn.Parameter(torch.ones(width))
        self.b_2 = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        deviation, mean = torch.std_mean(x, dim=-1, keepdim=True)
        return self.a_2 * (x - mean) / (deviation + _NORM_EPSILON) + self.b_2


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """Let (B, N, C) rows look at (B, M, C) rows of memory."""
        query, key, value, out = self.linears
        attend = _FusedAttention.apply if torch.onnx.is_in_onnx_export() else _attention
        update: Tensor = out(attend(query(x), key(memory), value(memory)))
        return update


class _FusedAttention(torch.autograd.Function):
    """`_attention` as one operator of ONNX Runtime.

    The exporter alone would write out the matrix of all pairs, 64 MB for four objects, which is
    then read and written several times.
    """

    @staticmethod
    def forward(_: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return what the operator does, to the tracer."""
        return _attention(query, key, value)

    @staticmethod
    def symbolic(graph: Any, query: Any, key: Any, value: Any) -> Any:
        """Return the operator, to the exporter."""
        return graph.op('com.microsoft::MultiHeadAttention', query, key, value,
                        num_heads_i=_HEADS).setType(query.type())


class _FeedForward(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.w_1 = nn.Linear(width, _FEED_FORWARD)
        self.w_2 = nn.Linear(_FEED_FORWARD, width)

    def forward(self, x: Tensor) -> Tensor:
        update: Tensor = self.w_2(F.relu(self.w_1(x)))
        return update


def _attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return (B, N, C) what rows with those queries see of (B, M, C) keys and values."""
    seen = F.scaled_dot_product_attention(_split(query), _split(key), _split(value))
    return seen.transpose(1, 2).flatten(2)


def _split(rows: Tensor) -> Tensor:
    """Return (B, heads, N, C / heads) of (B, N, C) rows."""
    return rows.unflatten(2, (_HEADS, -1)).transpose(1, 2)
