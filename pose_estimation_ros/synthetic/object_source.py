"""Where scenes take the objects from that are to be found in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pose_estimation_ros.core.categories import CATEGORIES, CATEGORY_NAMES, Category
from pose_estimation_ros.core.errors import ConfigurationError
from pose_estimation_ros.synthetic.object_model import ObjectModel, make_object
from pose_estimation_ros.synthetic.splits import instance_seed

# Instances of a split that scenes draw from.
_INSTANCES = 1_000_000


class ObjectSource(Protocol):
    """Objects of some categories, split into train, val and test; can be pickled.

    Attributes:
        categories: What there is, in the order of category indices.
        is_known: Whether each category is one known object, of which scenes show as many as fit.
    """

    @property
    def is_known(self) -> bool:
        """Whether each category is one known object, of which scenes show as many as fit."""

    @property
    def categories(self) -> tuple[Category, ...]:
        """What there is, in the order of category indices."""

    def count(self, category: str, split: str) -> int:
        """Return how many instances of a category a split has, 1 or more."""

    def model(self, category: str, split: str, number: int) -> ObjectModel:
        """Return an instance by its number, from 0 to count - 1; always the same one."""

    def describe(self) -> dict[str, Any]:
        """Return what tells data of this source from others, for the description beside it."""


@dataclass(frozen=True)
class ProceduralObjects:
    """The generated objects of the six categories.

    Attributes:
        domain: 'primary' or 'second'.
        categories: All six, or some of them.
    """

    domain: str
    categories: tuple[Category, ...] = CATEGORIES

    @property
    def is_known(self) -> bool:
        """They are examples of their categories."""
        return False

    def count(self, category: str, split: str) -> int:  # noqa: ARG002
        """Return a number that is never used up."""
        return _INSTANCES

    def model(self, category: str, split: str, number: int) -> ObjectModel:
        """Make an object; 'distractor' is a category here, too."""
        return make_object(category, instance_seed(split, number), self.domain)

    def describe(self) -> dict[str, Any]:
        """Return nothing for all six, so that older folders can be continued."""
        if self.categories == CATEGORIES:
            return {}
        return {'categories': [category.as_plain() for category in self.categories]}


@dataclass(frozen=True)
class FewObjects:
    """The first objects of each category of another source.

    Attributes:
        source: Where they are from.
        most: How many instances of a category a split has at most.
    """

    source: ObjectSource
    most: int

    @property
    def is_known(self) -> bool:
        """As in the source."""
        return self.source.is_known

    @property
    def categories(self) -> tuple[Category, ...]:
        """Those of the source."""
        return self.source.categories

    def count(self, category: str, split: str) -> int:
        """Return how many instances of a category a split has."""
        return min(self.most, self.source.count(category, split))

    def model(self, category: str, split: str, number: int) -> ObjectModel:
        """Return an instance of the source."""
        return self.source.model(category, split, number)

    def describe(self) -> dict[str, Any]:
        """Return the description of the source and the limit."""
        return {**self.source.describe(), 'instances': self.most}


def procedural_objects(domain: str, names: Sequence[str] = ()) -> ProceduralObjects:
    """Return the generated objects of the named categories, none for all six.

    Raises:
        ConfigurationError: If a name is not one of the six.
    """
    unknown = sorted(set(names) - set(CATEGORY_NAMES))
    if unknown:
        raise ConfigurationError(
            f'{", ".join(unknown)} cannot be generated; choose of {", ".join(CATEGORY_NAMES)}, or '
            'give a folder of meshes')
    if not names:
        return ProceduralObjects(domain)
    return ProceduralObjects(domain, tuple(category for category in CATEGORIES
                                           if category.name in names))


def categories_of(description: dict[str, Any]) -> tuple[Category, ...]:
    """Return the categories that a description of stored data names; without any, the six."""
    plain = description.get('categories')
    return CATEGORIES if plain is None else tuple(map(Category.from_plain, plain))
