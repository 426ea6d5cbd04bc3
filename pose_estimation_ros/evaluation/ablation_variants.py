"""The networks that the ablation compares, and what the papers' order says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pose_estimation_ros.evaluation.ablation_order import Claim

if TYPE_CHECKING:
    from pose_estimation_ros.networks.relation import RelationKind

Switch = Literal['on', 'off']

BASELINE = 'spd'
# As `AdversarialSettings` has it for the network that is shipped.
_ADVERSARIAL = 0.03


@dataclass(frozen=True)
class Variant:
    """One network of the ablation.

    Attributes:
        name: Short name, that of its files.
        title: What a table calls it.
        family: Which network it is made of: 'crnet', or 'acr'.
        instance_relation: Of geometry and colour.
        category_relation: Of the instance and its category's prior.
        steps: Recurrent steps.
        pose_invariant: ACR-Pose's pose-irrelevant module.
        relational: ACR-Pose's relational graphs.
        adversarial: Weight of the discriminator's say; 0 = without.
    """

    name: str
    title: str
    family: Literal['crnet', 'acr'] = 'crnet'
    instance_relation: RelationKind = 'none'
    category_relation: RelationKind = 'none'
    steps: int = 0
    pose_invariant: Switch = 'off'
    relational: Switch = 'off'
    adversarial: float = 0.0


def _related(name: str, title: str, kind: RelationKind, steps: int = 0) -> Variant:
    return Variant(name, title, instance_relation=kind, category_relation=kind, steps=steps)


VARIANTS: tuple[Variant, ...] = (
    Variant(BASELINE, 'SPD, same encoder'),
    Variant('instance', '+ instance relation', instance_relation='transformer'),
    Variant('category', '+ category relation', category_relation='transformer'),
    _related('transformer', '+ both relations, transformer', 'transformer'),
    _related('mlp', '+ both relations, MLP', 'mlp'),
    _related('nonlocal', '+ both relations, non-local', 'nonlocal'),
    _related('steps1', '+ both relations, 1 recurrent step', 'transformer', 1),
    _related('steps2', '+ both relations, 2 recurrent steps = CR-Net', 'transformer', 2),
    _related('steps3', '+ both relations, 3 recurrent steps', 'transformer', 3),
    Variant('invariant', '+ pose-invariant module', 'acr', pose_invariant='on'),
    Variant('graphs', '+ relational graphs', 'acr', relational='on'),
    Variant('invariant_graphs', '+ pose-invariant module and relational graphs', 'acr',
            pose_invariant='on', relational='on'),
    Variant('adversarial', '+ both and adversarial training = ACR-Pose', 'acr',
            pose_invariant='on', relational='on', adversarial=_ADVERSARIAL),
)


CLAIMS: tuple[Claim, ...] = (
    Claim('instance', BASELINE, 'the instance relation helps'),
    Claim('category', BASELINE, 'the category relation helps'),
    Claim('transformer', 'instance', 'the category relation helps beside the instance relation'),
    Claim('transformer', 'category', 'the instance relation helps beside the category relation'),
    Claim('transformer', 'mlp', 'the published kind of relation beats the MLP'),
    Claim('transformer', 'nonlocal', 'the published kind of relation beats the non-local block'),
    Claim('steps1', 'transformer', 'the first recurrent step helps'),
    Claim('steps2', 'steps1', 'the second recurrent step helps'),
    Claim('steps2', BASELINE, 'CR-Net beats SPD'),
    Claim('invariant', BASELINE, 'the pose-invariant module helps'),
    Claim('graphs', BASELINE, 'the relational graphs help'),
    Claim('invariant_graphs', 'invariant', 'the graphs help beside the pose-invariant module'),
    Claim('invariant_graphs', 'graphs', 'the pose-invariant module helps beside the graphs'),
    Claim('adversarial', 'invariant_graphs', 'adversarial training helps'),
    Claim('adversarial', BASELINE, 'ACR-Pose beats SPD'),
)
