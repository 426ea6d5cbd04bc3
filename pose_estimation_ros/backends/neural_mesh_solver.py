"""Objects of several categories in one feature map: search, refinement, competition.

Source: Ma et al., Robust category-level 6D pose estimation with coarse-to-fine rendering of
neural features (ECCV 2022), sections 3.4 and 3.5. Here one feature map serves all categories,
the camera is the real one, and objects of different categories compete, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pose_estimation_ros.backends.neural_mesh_archive import CategoryMesh
from pose_estimation_ros.backends.neural_mesh_competition import compete
from pose_estimation_ros.backends.neural_mesh_proposals import (
    CellBox,
    Proposals,
    SearchSettings,
    SearchViews,
    propose,
    propose_in_box,
)
from pose_estimation_ros.backends.neural_mesh_refinement import (
    Hypotheses,
    RefinementSettings,
    RenderedMesh,
    derivatives,
    refine,
    render,
    rendered_mesh,
)
from pose_estimation_ros.backends.neural_mesh_scores import FeatureScores, feature_scores
from pose_estimation_ros.core.cuboid_mesh import view_vertices

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]
IndexArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]

# Objects may be nearer and farther than what is searched, by this factor: steps of the search are
# as coarse.
_BEYOND = 1.25


@dataclass(frozen=True)
class SolverSettings:
    """What the solver of a neural mesh can be told.

    Attributes:
        search: Of the coarse stage.
        refinement: Of the fine stage; objects may leave the distances of the search by
            `_BEYOND`.
        first_steps: Of the fine stage, that all initial poses of a place take; the best of them
            goes on.
        competes: Whether objects compete for pixels, and are refined again with what they keep.
        overlap: Of two objects of a category whose silhouettes share more than this of their
            union, the weaker is the same object again.
        least_visible: Share of its silhouette that an object must explain to be one, or to stay
            one when it has lost pixels to others.
        window: Half side of the cells around an object that are compared with it, in its sizes.
    """

    search: SearchSettings = field(default_factory=SearchSettings)
    refinement: RefinementSettings = field(default_factory=RefinementSettings)
    first_steps: int = 8
    competes: bool = True
    overlap: float = 0.5
    least_visible: float = 0.1
    window: float = 0.8


@dataclass(frozen=True, eq=False)
class Candidate:
    """An object that the solver found.

    Attributes:
        category: Its name.
        T_camera_object: (4, 4) pose, optical frame, of a cuboid of `extents`.
        extents: (3,) metres, those of the category's mesh or one of its aspects.
        score: Sum of the similarities of its own pixels by all its pixels in the image, 0 to 1.
        similarity: Mean over its own pixels of how well rendering and features agree, -1 to 1.
        gain: Sum over its own pixels of how much better it fits than the clutter.
        mask: (h, w) bool cells that are its own: it explains them better than the clutter, and
            no other object took them.
        silhouette: (h, w) bool cells where the whole cuboid would be seen.
        depth: (h, w) float64 metres of the cuboid's surface, NaN beside it.
        hessian: (6, 6) float64 curvature of half the squared difference between rendering and
            features, summed over its own pixels, by x y z then rotations about the axes of the
            camera's frame at the object's origin; with a variance of the features' error per
            pixel and channel it becomes the inverse covariance.
        box: Which of the given boxes it comes from; -1 = it was found in the whole image.
        is_outcompeted: Other objects explain nearly all that it claimed better. Its pose is that
            from before, and what is left of its pixels may be none.
    """

    category: str
    T_camera_object: FloatArray
    extents: FloatArray
    score: float
    similarity: float
    gain: float
    mask: BoolArray
    silhouette: BoolArray
    depth: FloatArray
    hessian: FloatArray
    box: int
    is_outcompeted: bool = False


@dataclass(frozen=True, eq=False)
class _Object:
    """An object between the stages: its pose, and what it sees in the image."""

    category: str
    hypothesis: Hypotheses
    box: int
    gain: float
    claim: BoolArray
    similarity: Float32Array
    silhouette: BoolArray


class NeuralMeshSolver:
    """Finds the objects of several categories in feature maps.

    Projections of the cuboids are kept between images of one camera.
    """

    def __init__(self, meshes: Mapping[str, CategoryMesh], rotations: Mapping[str, FloatArray],
                 settings: SolverSettings) -> None:
        """Prepare the meshes.

        Args:
            meshes: By category.
            rotations: By category, (R, 3, 3) R_camera_object of an object on the optical axis:
                those that are searched.
            settings: Of all stages.
        """
        self._meshes = dict(meshes)
        self._rotations = {name: np.asarray(rotations[name]) for name in meshes}
        self._settings = settings
        self._rendered: dict[str, RenderedMesh] = {
            name: rendered_mesh(mesh.cuboid(), mesh.features) for name, mesh in meshes.items()}
        distances = settings.search.distances
        self._refinement = replace(settings.refinement, depths=(
            distances[0] / _BEYOND, distances[-1] * _BEYOND))
        self._views: dict[tuple[str, bytes], SearchViews] = {}

    def solve(self, features: Float32Array, K: FloatArray, categories: Sequence[str] | None = None,
              boxes: Sequence[CellBox] | None = None) -> list[Candidate]:
        """Return the objects in a feature map, the one with the highest gain first.

        Args:
            features: (D, h, w) float32, of length one along D.
            K: (3, 3) camera matrix of the feature map, centres of cells at whole numbers.
            categories: That are looked for; None = all.
            boxes: Where objects are, from a detector; None = the image is searched.
        """
        wanted = self._meshes if categories is None else categories
        found: list[_Object] = []
        for category in wanted:
            proposals = self._proposals(category, features, K, boxes)
            if len(proposals.hypotheses):
                found += self._refined(category, proposals, features, K)
        found.sort(key=lambda one: -one.gain)
        found = self._without_repetitions(found)
        owned = self._owned(found)
        candidates = [self._finished(one, own, features, K)
                      for one, own in zip(found, owned, strict=True)]
        return sorted((one for one in candidates if one is not None), key=lambda one: -one.gain)

    def _proposals(self, category: str, features: Float32Array, K: FloatArray,
                   boxes: Sequence[CellBox] | None) -> Proposals:
        mesh, settings = self._meshes[category], self._settings.search
        key = category, K.tobytes()
        if key not in self._views:
            # One camera at a time: views of another would only fill memory.
            self._views = {kept: views for kept, views in self._views.items() if kept[1] == key[1]}
            self._views[key] = SearchViews.of(mesh.cuboid(), self._rotations[category], K,
                                              settings)
        views = self._views[key]
        if boxes is None:
            return propose(features, mesh, views, settings)
        return propose_in_box(features, mesh, views, settings, [
            (number, box) for number, box in enumerate(boxes) if box.label == category])

    def _scores(self, category: str, hypotheses: Hypotheses, features: Float32Array,
                K: FloatArray) -> FeatureScores:
        """Compare a category with the features around where its objects may be."""
        mesh = self._meshes[category]
        near = _surroundings(hypotheses, self._rendered[category], K, features.shape[1:],
                             self._settings.window)
        return feature_scores(features, mesh.features, mesh.clutter,
                              self._settings.search.background, near)

    def _refined(self, category: str, proposals: Proposals, features: Float32Array,
                 K: FloatArray) -> list[_Object]:
        """Return for each place its best object after the fine stage."""
        mesh = self._rendered[category]
        scores = self._scores(category, proposals.hypotheses, features, K)
        starts = self._with_best_aspects(category, proposals.hypotheses, scores, K)
        hurried = replace(self._refinement, steps=self._settings.first_steps)
        begun = self._with_best_aspects(
            category, refine(starts, mesh, scores, K, hurried).hypotheses, scores, K)
        rendering = render(begun, mesh, scores, K)
        gains, visible = rendering.totals(), rendering.visible_shares()
        places = [np.flatnonzero(proposals.place == place) for place in np.unique(proposals.place)]
        best = np.array([rows[gains[rows].argmax()] for rows in places])
        best = best[visible[best] > self._settings.least_visible]
        if not best.size:
            return []
        refined = refine(begun[best], mesh, scores, K, self._refinement)
        return _objects(category, refined.hypotheses, proposals.box[best], mesh, scores, K)

    def _with_best_aspects(self, category: str, hypotheses: Hypotheses, scores: FeatureScores,
                           K: FloatArray) -> Hypotheses:
        """Return the poses, each with the aspect of the category that fits best there."""
        aspects = self._meshes[category].aspects
        if len(aspects) == 1:
            return hypotheses
        stretches = aspects / aspects[0]
        # One aspect after the other: all at once take hundreds of megabytes.
        gains = [render(replace(hypotheses, stretch=np.tile(stretch, (len(hypotheses), 1))),
                        self._rendered[category], scores, K).totals() for stretch in stretches]
        return replace(hypotheses, stretch=stretches[np.argmax(gains, axis=0)])

    def _without_repetitions(self, found: Sequence[_Object]) -> list[_Object]:
        """Return the objects less those that a stronger one of their category covers."""
        kept: list[_Object] = []
        for one in found:
            if one.claim.any() and not any(
                    other.category == one.category
                    and _overlap(one.silhouette, other.silhouette) > self._settings.overlap
                    for other in kept):
                kept.append(one)
        return kept

    def _owned(self, found: Sequence[_Object]) -> list[BoolArray | None]:
        """Return which pixels each object may use; None = all."""
        if not self._settings.competes or len(found) < 2:
            return [None] * len(found)
        claims = np.array([one.claim for one in found])
        kept = compete(claims, np.array([one.similarity for one in found]), rest_share=0.0)
        # Pixels that it did not claim but nobody else did either stay open to it.
        taken = kept.any(axis=0)
        return [own | ~taken if (own != claim).any() else None
                for own, claim in zip(kept, claims, strict=True)]

    def _finished(self, one: _Object, owned: BoolArray | None, features: Float32Array,
                  K: FloatArray) -> Candidate | None:
        """Return the object after its second pass, or None if too little of it is seen.

        Which of two objects is right that claim the same pixels is not sure: one that loses
        nearly all stays where it was, as an answer that is marked.
        """
        mesh = self._rendered[one.category]
        scores = self._scores(one.category, one.hypothesis, features, K)
        own = None if owned is None else owned[None]
        hypothesis, is_outcompeted = one.hypothesis, False
        if own is not None:
            hypothesis = refine(hypothesis, mesh, scores, K, self._refinement,
                                own).hypotheses
        rendering = render(hypothesis, mesh, scores, K, own)
        if rendering.visible_shares()[0] <= self._settings.least_visible:
            if owned is None:
                return None
            is_outcompeted, hypothesis = True, one.hypothesis
            rendering = render(hypothesis, mesh, scores, K, own)
        won, pixels = rendering.gains > 0, rendering.raster.pixel
        R = hypothesis.T_camera_object[0, :3, :3]
        to_object = np.kron(np.eye(2), R.T)
        depth = np.full(scores.clutter.size, np.nan)
        depth[pixels] = rendering.raster.depth
        similar = rendering.scores[won]
        return Candidate(
            one.category, hypothesis.T_camera_object[0],
            self._meshes[one.category].extents * hypothesis.stretch[0],
            float(np.clip(similar.sum() / pixels.size, 0, 1)),
            float(similar.mean()) if similar.size else 0.0,
            float(rendering.gains.sum()), rendering.raster.images(won)[0],
            rendering.raster.masks()[0], depth.reshape(scores.shape),
            to_object.T @ derivatives(rendering, mesh).curvature[0] @ to_object, one.box,
            is_outcompeted)


def _objects(category: str, hypotheses: Hypotheses, boxes: IndexArray, mesh: RenderedMesh,
             scores: FeatureScores, K: FloatArray) -> list[_Object]:
    """Return what refined poses see in the image."""
    rendering = render(hypotheses, mesh, scores, K)
    gains, raster = rendering.totals(), rendering.raster
    claims = raster.images(rendering.gains > 0).reshape(len(hypotheses), -1)
    similarities = raster.images(rendering.scores.astype(np.float32)).reshape(
        len(hypotheses), -1)
    silhouettes = raster.masks().reshape(len(hypotheses), -1)
    return [_Object(category, hypotheses[np.array([row])], int(boxes[row]), float(gains[row]),
                    claims[row], similarities[row], silhouettes[row])
            for row in range(len(hypotheses))]


def _surroundings(hypotheses: Hypotheses, mesh: RenderedMesh, K: FloatArray,
                  shape: tuple[int, ...], window: float) -> IndexArray:
    """Return the cells within `window` sizes of the middle of any of B objects."""
    pixels = view_vertices(mesh.cuboid, hypotheses.T_camera_object, K).pixels
    low, high = np.nanmin(pixels, axis=1), np.nanmax(pixels, axis=1)
    middle, reach = (low + high) / 2, window * (high - low).max(axis=1, keepdims=True)
    first = np.clip(np.floor(middle - reach), 0, [shape[1], shape[0]]).astype(np.intp)
    last = np.clip(np.ceil(middle + reach) + 1, 0, [shape[1], shape[0]]).astype(np.intp)
    near = np.zeros(shape, dtype=bool)
    for (x_first, y_first), (x_last, y_last) in zip(first, last, strict=True):
        near[y_first:y_last, x_first:x_last] = True
    return np.flatnonzero(near)


def _overlap(one: BoolArray, other: BoolArray) -> float:
    """Return the share of the union that both cover."""
    return float((one & other).sum() / max((one | other).sum(), 1))
