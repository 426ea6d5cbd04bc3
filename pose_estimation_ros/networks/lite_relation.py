"""Relations between two sets of features, small enough for a CPU.

CR-Net relates geometry with colour, and the instance with its category's prior (Wang et al.,
Category-Level 6D Object Pose Estimation via Cascaded Relation and Recurrent Reconstruction
Networks, IROS 2021, section III-B). Its kinds are those of the paper's ablation; the full forms
are in `relation`. Here a few latents read one set, and the other set reads the latents, so the
cost grows with the number of points and not with its square. One weight set serves both
directions, as in the paper. Every relation starts as no change.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pose_estimation_ros.networks.latent_attention import Attention, Perceptron
from pose_estimation_ros.networks.relation import RelationKind

_LATENTS = 16


class NoRelation(nn.Module):
    """Leaves both sets as they are."""

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, N, C) x and (B, M, C) y."""
        return x, y


class MlpRelation(nn.Module):
    """Adds to each row what two layers say of it and of the other set's mean."""

    def __init__(self, width: int) -> None:
        """Create the layers."""
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(2 * width), nn.Linear(2 * width, 2 * width),
                                    nn.ReLU(), nn.Linear(2 * width, width))
        _silence(self.layers[3])

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return both sets, (B, N, C) and (B, M, C), each related to the other."""
        return self._related(x, y), self._related(y, x)

    def _related(self, x: Tensor, y: Tensor) -> Tensor:
        other = y.mean(dim=1, keepdim=True).expand_as(x)
        answer: Tensor = x + self.layers(torch.cat([x, other], dim=2))
        return answer


class NonLocalRelation(nn.Module):
    """Adds a non-local block: products with the other set, averaged without a softmax.

    Source: Wang et al., Non-local Neural Networks, CVPR 2018, dot-product form.
    """

    def __init__(self, width: int) -> None:
        """Create the layers; half the width inside."""
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width // 2) for _ in range(3))
        self.out = nn.Linear(width // 2, width)
        _silence(self.out)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return both sets, (B, N, C) and (B, M, C), each related to the other."""
        return self._related(x, y), self._related(y, x)

    def _related(self, x: Tensor, y: Tensor) -> Tensor:
        row, other = self.norm(x), self.norm(y)
        # Without a softmax the product can begin with keys and values: no N x M matrix.
        summary = self.key(other).transpose(1, 2) @ self.value(other) / y.shape[1]
        answer: Tensor = x + self.out(self.query(row) @ summary)
        return answer


class TransformerRelation(nn.Module):
    """Lets one set attend to latents that read the other: decoder(x, memory = encoder(y)).

    The layers on single rows that a decoder ends with are left to what follows.
    """

    def __init__(self, width: int, heads: int) -> None:
        """Create encoder and decoder."""
        super().__init__()
        self.latents = nn.Parameter(0.1 * torch.randn(_LATENTS, width))
        self.encode, self.encoded = Attention(width, heads), Perceptron(width)
        self.decode = Attention(width, heads)
        _silence(self.decode.out)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return both sets, (B, N, C) and (B, M, C), each related to the other."""
        return self._related(x, y), self._related(y, x)

    def _related(self, x: Tensor, y: Tensor) -> Tensor:
        start = self.latents.expand(y.shape[0], -1, -1)
        memory = self.encoded(self.encode(start, y))
        answer: Tensor = self.decode(x, memory)
        return answer


def make_relation(kind: RelationKind, width: int, heads: int) -> nn.Module:
    """Return a relation of a kind between sets of features of a width."""
    if kind == 'none':
        return NoRelation()
    if kind == 'mlp':
        return MlpRelation(width)
    if kind == 'nonlocal':
        return NonLocalRelation(width)
    return TransformerRelation(width, heads)


def _silence(layer: nn.Module) -> None:
    """Let a last layer of a residual branch begin with zero."""
    assert isinstance(layer, nn.Linear)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
