"""Shape families that no network trains on, to judge generalisation.

Where the primary families draw splines through control points, these put together analytic pieces:
superellipses, cones, spheres, prisms and toruses, with other proportions.
"""
