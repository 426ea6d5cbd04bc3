from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = 'pose_estimation_ros'
ROOT = Path(__file__).resolve().parent


def installed_below(folder):
    """List the files of a folder, recursively, as data_files of the package's share folder."""
    files = sorted(path for path in (ROOT / folder).rglob('*') if path.is_file())
    by_parent = {}
    for path in files:
        if '__pycache__' not in path.parts:
            relative = path.relative_to(ROOT)
            by_parent.setdefault(f'share/{PACKAGE}/{relative.parent}', []).append(str(relative))
    return sorted(by_parent.items())


setup(
    name=PACKAGE,
    version='0.1.0',
    description='Category-level object pose and size from RGB-D cameras, for ROS 2',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author='Pose Estimation ROS authors',
    maintainer='Pose Estimation ROS maintainers',
    maintainer_email='maintainers@pose-estimation-ros.invalid',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={PACKAGE: ['py.typed', 'backends/*.onnx', 'viewing/*.j2']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (f'share/{PACKAGE}', ['package.xml']),
        *installed_below('launch'),
        *installed_below('config'),
        *installed_below('models'),
    ],
    # ONNX Runtime is not among them: it is one of two packages that exclude each other.
    install_requires=['numpy', 'scipy', 'opencv-python-headless', 'PyYAML', 'typer>=0.12'],
    extras_require={
        # colcon runs pytest where this names it.
        'test': ['pytest', 'hypothesis'],
        'simulation': ['open3d', 'tqdm'],
        'demo': ['open3d', 'rosbags'],
        'viewing': ['jinja2', 'rerun-sdk', 'rosbags'],
        'training': ['open3d', 'torch', 'torchvision', 'onnx', 'tensorboard', 'tqdm',
                     'distributed', 'google-crc32c'],
        'mrc': ['open3d', 'small_gicp'],
        'disp6d': ['small_gicp'],
        'gpu': ['warp-lang'],
        'docs': ['mkdocs-material'],
        'evaluation': ['matplotlib', 'pycocotools', 'tqdm', 'distributed'],
    },
    zip_safe=False,
    entry_points={
        'console_scripts': [
            f'pose_estimator = {PACKAGE}.nodes.pose_estimator:main',
            f'simulated_camera = {PACKAGE}.nodes.simulated_camera:main',
            f'replay_camera = {PACKAGE}.nodes.replay_camera:main',
            f'recorder = {PACKAGE}.nodes.recorder:main',
            f'planning_scene_bridge = {PACKAGE}.nodes.planning_scene_bridge:main',
            f'pose-estimation = {PACKAGE}.cli.main:main',
        ],
    },
)
