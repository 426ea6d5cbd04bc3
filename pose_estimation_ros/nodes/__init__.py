"""The ROS edge: nodes, parameters, message conversion and diagnostics."""
