"""The robust alignment as an ONNX graph, for networks whose outputs stay on a GPU.

    python -m pose_estimation_ros.training.alignment_export

writes the file that `backends.alignment_graph` runs. The rule is that of `core.alignment`, with
the trust in points of `backends.correspondences`, all in double precision. ONNX has no singular
value decomposition, so rotations are eigenvectors of Horn's 4x4 matrix: shifted so that the wanted
eigenvalue is the largest in magnitude, it is squared until nothing else is left.

Source: B. K. P. Horn, Closed-form solution of absolute orientation using unit quaternions, JOSA A
1987; the scale is that of S. Umeyama, PAMI 1991, equation 42.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx.checker
import onnx.inliner
import onnx.parser
from numpy.typing import NDArray

from pose_estimation_ros.backends.alignment_graph import GRAPH_FILE
from pose_estimation_ros.backends.correspondences import MINIMUM_MEMBERS
from pose_estimation_ros.core.alignment import (
    INLIER_THRESHOLD,
    MINIMUM_INLIER_RATIO,
    SAMPLE_SIZE,
)

# After these squarings, the power 2^24, what is left of the next eigenvector is below 1e-7 where
# its eigenvalue is smaller by a millionth of the sum of all; points in single precision do not
# determine a rotation any better than that.
_BLOCKS, _SQUARINGS_PER_BLOCK = 3, 8

_GRAPH = """
<ir_version: 8, opset_import: ["" : 17, "alignment" : 1]>
alignment (float[objects, points, 3] source, float[objects, points, 3] target,
           float[objects, points] membership, double[hypotheses, {sample}] draws)
    => (double[objects] scale, double[objects, 3, 3] R, double[objects, 3] t,
        bool[objects] valid, bool[objects, points] inliers, double[objects] inlier_ratio,
        double[objects] residual)
<int64[1] first = {{0}}, int64[1] second = {{1}}, int64[1] third = {{2}}, int64[1] last = {{-1}},
 int64 from = {{0}}, int64 step = {{1}}, int64 minimum = {{{minimum}}}, float even = {{0}},
 int64[2] flat = {{0, -1}}, int64[4] of_samples = {{0, -1, {sample}, 3}},
 int64[3] numbers = {{0, 0, 1}}, int64[3] vectors = {{0, 0, 3}}, int64[3] matrices = {{0, 0, 9}},
 int64[1] each = {{-1}}, int64[2] each_vector = {{-1, 3}}, int64[3] each_matrix = {{-1, 3, 3}},
 double nothing = {{0}}, double one = {{1}}, double two = {{2}}, double minus_two = {{-2}},
 double never = {{-1e300}}, double relative = {{{relative}}}, double least = {{{least}}},
 double[1, 1, {sample}, 1] alike = {{{ones}}},
 double[9, 16] horn = {{{horn}}}, double[4, 4] eye = {{{eye}}}>
{{
    # Which correspondences count; p is the source, q the target.
    p_given = Cast <to = 11> (source)
    q_given = Cast <to = 11> (target)
    p_sum = ReduceSum <keepdims = 0> (p_given, last)
    q_sum = ReduceSum <keepdims = 0> (q_given, last)
    p_finite = alignment.finite (p_sum)
    q_finite = alignment.finite (q_sum)
    finite = And (p_finite, q_finite)
    member = Greater (membership, even)
    member_count = Cast <to = 7> (member)
    members = ReduceSum (member_count, last)
    few = Less (members, minimum)
    trusted = Or (member, few)
    usable = And (trusted, finite)
    usable_row = Unsqueeze (usable, last)
    p = Where (usable_row, p_given, nothing)
    q = Where (usable_row, q_given, nothing)
    usable_number = Cast <to = 11> (usable_row)
    count = ReduceSum (usable_number, second)
    divisor = Max (count, one)

    # As draw_samples: the usable ones first, in their order, and random ranks among them.
    size = Shape <start = 1, end = 2> (membership)
    number = Squeeze (size)
    position = Range (from, number, step)
    behind = Add (position, number)
    key = Where (usable, position, behind)
    ignored, order = TopK <axis = 1, largest = 0, sorted = 1> (key, size)
    rank_real = Mul (draws, count)
    rank_rows = Cast <to = 7> (rank_real)
    rank = Reshape (rank_rows, flat)
    drawn_flat = GatherElements <axis = 1> (order, rank)
    drawn = Unsqueeze (drawn_flat, last)
    p_drawn = GatherND <batch_dims = 1> (p, drawn)
    q_drawn = GatherND <batch_dims = 1> (q, drawn)
    p_samples = Reshape (p_drawn, of_samples)
    q_samples = Reshape (q_drawn, of_samples)
    s_each, R_each, t_each = alignment.similarity (p_samples, q_samples, alike, horn, eye)

    # The squared tolerance.
    p_total = ReduceSum (p, second)
    centroid = Div (p_total, divisor)
    p_centred = Sub (p, centroid)
    radius_all = alignment.squared_length (p_centred)
    radius = Where (usable_row, radius_all, nothing)
    farthest = ReduceMax <axes = [1]> (radius)
    tolerance = Mul (farthest, relative)

    # As _support: terms of the hypotheses times terms of the points.
    s_column = Reshape (s_each, numbers)
    t_rows = Reshape (t_each, vectors)
    s_squared = Mul (s_column, s_column)
    t_scaled = Div (t_rows, s_column)
    R_scaled = Div (R_each, s_each)
    t_turned = MatMul (t_each, R_scaled)
    h_constant = alignment.squared_length (t_scaled)
    h_q_squared = Reciprocal (s_squared)
    h_q_half = Div (t_rows, s_squared)
    h_q = Mul (h_q_half, minus_two)
    h_p_half = Reshape (t_turned, vectors)
    h_p = Mul (h_p_half, two)
    h_products_half = Reshape (R_scaled, matrices)
    h_products = Mul (h_products_half, minus_two)
    h_terms = Concat <axis = 2> (h_constant, h_q_squared, h_q, h_p, h_products)
    p_squared = alignment.squared_length (p)
    q_squared = alignment.squared_length (q)
    q_column = Unsqueeze (q, last)
    p_row = Unsqueeze (p, third)
    product_rows = Mul (q_column, p_row)
    products = Reshape (product_rows, matrices)
    p_terms = Concat <axis = 2> (usable_number, q_squared, q, p, products)
    p_columns = Transpose <perm = [0, 2, 1]> (p_terms)
    sums = MatMul (h_terms, p_columns)
    room = Sub (tolerance, p_squared)
    limit_column = Where (usable_row, room, never)
    limit = Transpose <perm = [0, 2, 1]> (limit_column)
    agree = Less (sums, limit)
    agree_number = Cast <to = 11> (agree)
    support_column = ReduceSum (agree_number, third)
    s_positive = Greater (s_column, nothing)
    support = Where (s_positive, support_column, nothing)

    # The first of those with most support: whole numbers, made distinct.
    trials_size = Shape <start = 0, end = 1> (draws)
    trials = Squeeze (trials_size)
    trial = Range (from, trials, step)
    trial_row = Cast <to = 11> (trial)
    trial_column = Unsqueeze (trial_row, last)
    trials_real = Cast <to = 11> (trials)
    support_first = Mul (support, trials_real)
    preference = Sub (support_first, trial_column)
    best = ArgMax <axis = 1, keepdims = 0> (preference)

    # The inliers of the chosen one.
    s_best = GatherND <batch_dims = 1> (s_column, best)
    s_chosen = Unsqueeze (s_best, last)
    R_chosen = GatherND <batch_dims = 1> (R_each, best)
    t_best = GatherND <batch_dims = 1> (t_rows, best)
    t_chosen = Unsqueeze (t_best, second)
    distance = alignment.squared_distance (p, q, s_chosen, R_chosen, t_chosen)
    s_chosen_squared = Mul (s_chosen, s_chosen)
    reach = Mul (s_chosen_squared, tolerance)
    near = Less (distance, reach)
    near_usable = And (near, usable_row)
    s_chosen_positive = Greater (s_chosen, nothing)
    inlier_column = And (near_usable, s_chosen_positive)
    inliers = Squeeze (inlier_column, last)
    weight = Cast <to = 11> (inlier_column)
    inlier_count = ReduceSum (weight, second)
    ratio = Div (inlier_count, divisor)

    # The fit to them.
    p_batch = Unsqueeze (p, second)
    q_batch = Unsqueeze (q, second)
    weight_batch = Unsqueeze (weight, second)
    s_final, R_final, t_final = alignment.similarity (p_batch, q_batch, weight_batch, horn, eye)
    scale = Reshape (s_final, each)
    R = Reshape (R_final, each_matrix)
    t = Reshape (t_final, each_vector)
    s_row = Squeeze (s_final, third)
    t_row = Squeeze (t_final, second)
    distance_final = alignment.squared_distance (p, q, s_row, R, t_row)
    distance_inliers = Mul (distance_final, weight)
    distance_sum = ReduceSum (distance_inliers, second)
    inlier_divisor = Max (inlier_count, one)
    distance_mean = Div (distance_sum, inlier_divisor)
    residual_column = Sqrt (distance_mean)
    residual = Reshape (residual_column, each)
    inlier_ratio = Reshape (ratio, each)
    enough = GreaterOrEqual (inlier_ratio, least)
    scale_positive = Greater (scale, nothing)
    scale_finite = alignment.finite (scale)
    scale_usable = And (scale_positive, scale_finite)
    valid = And (enough, scale_usable)
}}

<domain: "alignment", opset_import: ["" : 17]>
finite (value) => (answer)
{{
    difference = Sub (value, value)
    answer = Equal (difference, difference)
}}

<domain: "alignment", opset_import: ["" : 17]>
squared_length (vector) => (answer)
{{
    coordinates = Constant <value_ints = [-1]> ()
    squared = Mul (vector, vector)
    answer = ReduceSum (squared, coordinates)
}}

<domain: "alignment", opset_import: ["" : 17, "alignment" : 1]>
squared_distance (source, target, scale, R, t) => (answer)
{{
    R_inverse = Transpose <perm = [0, 2, 1]> (R)
    M = Mul (R_inverse, scale)
    turned = MatMul (source, M)
    moved = Add (turned, t)
    difference = Sub (moved, target)
    answer = alignment.squared_length (difference)
}}

<domain: "alignment", opset_import: ["" : 17, "alignment" : 1]>
similarity (source, target, weights, horn, eye) => (scale, R, t)
{{
    points = Constant <value_ints = [2]> ()
    entries = Constant <value_ints = [2, 3]> ()
    row_of_9 = Constant <value_ints = [0, 0, 1, 9]> ()
    row_of_16 = Constant <value_ints = [0, 0, 1, 16]> ()
    matrix_3 = Constant <value_ints = [0, 0, 3, 3]> ()
    matrix_4 = Constant <value_ints = [0, 0, 4, 4]> ()
    tiny = Constant <value = double {{1e-300}}> ()
    three = Constant <value = double {{3}}> ()
    four = Constant <value = double {{4}}> ()

    # Umeyama, for (objects, fits, points, 3) and weights (objects, fits, points, 1).
    weight_sum = ReduceSum (weights, points)
    weight_divisor = Max (weight_sum, tiny)
    w = Div (weights, weight_divisor)
    source_weighted = Mul (source, w)
    target_weighted = Mul (target, w)
    source_mean = ReduceSum (source_weighted, points)
    target_mean = ReduceSum (target_weighted, points)
    source_centred = Sub (source, source_mean)
    target_centred = Sub (target, target_mean)
    target_spread = Mul (target_centred, w)
    target_columns = Transpose <perm = [0, 1, 3, 2]> (target_spread)
    C = MatMul (target_columns, source_centred)
    source_squared = Mul (source_centred, source_centred)
    source_spread = Mul (source_squared, w)
    variance = ReduceSum (source_spread, entries)

    # No eigenvalue of K is below -bound: its trace is 0, that of the shifted one 4.
    C_squared = Mul (C, C)
    C_norm_squared = ReduceSum (C_squared, entries)
    bound_squared = Mul (C_norm_squared, three)
    bound_exact = Sqrt (bound_squared)
    bound = Max (bound_exact, tiny)
    C_scaled = Div (C, bound)
    C_row = Reshape (C_scaled, row_of_9)
    K_row = MatMul (C_row, horn)
    K = Reshape (K_row, matrix_4)
    K_shifted = Add (K, eye)
    power_0_0 = Div (K_shifted, four)
{squarings}

    # The longest column of q q^T; where eigenvalues are equal it is one of the best.
    diagonal_matrix = Mul ({projector}, eye)
    diagonal = ReduceMax <axes = [2], keepdims = 0> (diagonal_matrix)
    longest = ArgMax <axis = 2> (diagonal)
    selection = Gather (eye, longest)
    direction = MatMul (selection, {projector})
    direction_squared = Mul (direction, direction)
    length_squared = ReduceSum (direction_squared, entries)
    length = Sqrt (length_squared)
    quaternion = Div (direction, length)
    quaternion_column = Transpose <perm = [0, 1, 3, 2]> (quaternion)
    outer = MatMul (quaternion_column, quaternion)
    outer_row = Reshape (outer, row_of_16)
    horn_transposed = Transpose (horn)
    R_row = MatMul (outer_row, horn_transposed)
    R = Reshape (R_row, matrix_3)

    along = Mul (R, C)
    trace = ReduceSum (along, entries)
    scale = Div (trace, variance)
    R_inverse = Transpose <perm = [0, 1, 3, 2]> (R)
    mean_turned = MatMul (source_mean, R_inverse)
    mean_moved = Mul (mean_turned, scale)
    t = Sub (target_mean, mean_moved)
}}
"""


def alignment_model() -> onnx.ModelProto:
    """Return the graph; its inputs and outputs are told by `backends.alignment_graph`."""
    squarings, projector = _squarings()
    text = _GRAPH.format(
        sample=SAMPLE_SIZE, minimum=MINIMUM_MEMBERS, relative=repr((2.0 * INLIER_THRESHOLD) ** 2),
        least=repr(MINIMUM_INLIER_RATIO), ones=_listed(np.ones(SAMPLE_SIZE)),
        horn=_listed(_horn()), eye=_listed(np.eye(4)), squarings=squarings, projector=projector)
    model = onnx.inliner.inline_local_functions(onnx.parser.parse_model(text))
    onnx.checker.check_model(model, full_check=True)
    return model


def write_alignment(path: Path) -> None:
    """Write the graph to a file."""
    onnx.save(alignment_model(), path)


def _squarings() -> tuple[str, str]:
    """Return the lines that square a matrix of trace 1, and the name of what comes out.

    Its trace is made 1 again before powers of an eigenvalue of 1/4 or more vanish.
    """
    lines, last = [], _SQUARINGS_PER_BLOCK
    for block in range(_BLOCKS):
        lines += [f'power_{block}_{step + 1} = MatMul (power_{block}_{step}, '
                  f'power_{block}_{step})' for step in range(last)]
        lines += [f'diagonal_{block} = Mul (power_{block}_{last}, eye)',
                  f'trace_{block} = ReduceSum (diagonal_{block}, entries)',
                  f'power_{block + 1}_0 = Div (power_{block}_{last}, trace_{block})']
    return '\n'.join(f'    {line}' for line in lines), f'power_{_BLOCKS}_0'


def _horn() -> NDArray[np.float64]:
    """Return (9, 16) what Horn's matrix takes of each entry of C.

    As trace(R^T C) = q^T K(C) q for the rotation R of a quaternion q, the transposed array makes
    R of q q^T.
    """
    K = np.zeros((3, 3, 4, 4))
    for axis in range(3):
        one, other = (axis + 1) % 3, (axis + 2) % 3
        K[axis, axis] = -np.eye(4)
        K[axis, axis, 0, 0] = K[axis, axis, axis + 1, axis + 1] = 1.0
        K[other, one, 0, axis + 1] = K[other, one, axis + 1, 0] = 1.0
        K[one, other, 0, axis + 1] = K[one, other, axis + 1, 0] = -1.0
        for row, column in ((one, other), (other, one)):
            K[row, column, one + 1, other + 1] = K[row, column, other + 1, one + 1] = 1.0
    return K.reshape(9, 16)


def _listed(values: NDArray[np.float64]) -> str:
    return ', '.join(f'{value:g}' for value in values.flat)


if __name__ == '__main__':
    write_alignment(GRAPH_FILE)
