"""Install the part of edgesegnet_ros that requires no ROS, with pip.

colcon does not read this file: it uses package.xml and CMakeLists.txt.
"""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
SHIPPED = {'config': '**/*.*', 'models': '**/*'}
EXTRAS = {
    'train': ['matplotlib>=3.7', 'tensorboard>=2.12'],
    'report': ['av>=12', 'jinja2>=3.1', 'matplotlib>=3.7', 'pillow>=9'],
    'bags': ['mcap>=1.1', 'mcap-protobuf-support>=0.5', 'rosbags>=0.10'],
    'data': ['pycocotools>=2.0.7'],
    'cluster': ['ray>=2.9'],
    'explore': ['jinja2>=3.1', 'matplotlib>=3.7', 'optuna>=5', 'tqdm>=4.60'],
    'postgresql': ['psycopg[binary]>=3.1'],
    'jpeg': ['simplejpeg>=1.6'],
    'openvino': ['openvino>=2024.4'],
    'int8': ['nncf>=2.13', 'openvino>=2024.4'],
    'bench': ['matplotlib>=3.7', 'transformers>=4.30'],
    'onnx': ['onnx>=1.14', 'onnxruntime>=1.15'],
    # Tested with 0.41, which requires NumPy 2.
    'view': ['rerun-sdk>=0.24'],
    'test': [
        'hypothesis>=6.100',
        'onnxscript>=0.5',
        'psutil>=5.9',
        'pytest>=8,<8.4',
        'pytest-timeout>=2.3',
        'pytest-xdist>=3.7',
        'torchmetrics>=1.4',
    ],
    'lint': ['mypy==2.4.1', 'ruff==0.17.6', 'types-PyYAML', 'types-tqdm', 'vermin>=1.6'],
}


class BuildWithShippedFiles(build_py):
    """Copies config/ and models/ into the package, where edgesegnet_ros.shipped looks for them."""

    def run(self):
        super().run()
        # An editable install finds them in the checkout.
        if getattr(self, 'editable_mode', False):
            return
        for folder, pattern in SHIPPED.items():
            for source in sorted((HERE / folder).glob(pattern)):
                if source.is_file():
                    target = Path(self.build_lib, 'edgesegnet_ros', source.relative_to(HERE))
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(str(source), str(target))


VERSION = re.search(r"__version__ = '(.+)'", (HERE / 'edgesegnet_ros/__init__.py').read_text())

setup(
    name='edgesegnet_ros',
    version=VERSION[1],
    description='Semantic label images and class masks for robots, from an EdgeSegNet',
    license='Apache-2.0',
    python_requires='>=3.8',
    # Named, so that an editable install is a line in a .pth file: the checkout stays first on the
    # path, ahead of what colcon installed.
    package_dir={'': '.'},
    packages=find_packages(include=['edgesegnet_ros', 'edgesegnet_ros.*']),
    package_data={'edgesegnet_ros.evaluation.report': ['templates/*']},
    cmdclass={'build_py': BuildWithShippedFiles},
    entry_points={'console_scripts': ['edgesegnet = edgesegnet_ros.cli:main']},
    install_requires=[
        'numpy>=1.21',
        'opencv-python-headless>=4.5,<5',
        'PyYAML>=5.3',
        'safetensors>=0.4',
        'torch>=2.0',
        'tqdm>=4.60',
    ],
    extras_require=EXTRAS,
)
