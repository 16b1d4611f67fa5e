"""A small labelled dataset, drawn here, in the layouts of labelling tools and benchmarks."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

SIZE = (48, 64)
CLASSES = ('ground', 'crop', 'weed')
COLORS = ((110, 80, 50), (40, 170, 60), (200, 60, 160))
VOID = 255
CLASS_FILE = 'name: field3\nclasses:\n' + ''.join(
    f'  - {{id: {number}, name: {name}, color: [{", ".join(map(str, color))}]}}\n'
    for number, (name, color) in enumerate(zip(CLASSES, COLORS, strict=True))
)


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(48, 64, 3) uint8 RGB of a field with plants on it, and its (48, 64) uint8 labels."""
    random = np.random.default_rng(seed)
    labels = np.zeros(SIZE, np.uint8)
    labels[:4] = VOID
    for number in (1, 2, 1, 2):
        centre = int(random.integers(8, 56)), int(random.integers(12, 40))
        cv2.circle(labels, centre, int(random.integers(5, 9)), number, -1)
    image = np.array([*COLORS, (0, 0, 0)], np.uint8)[np.minimum(labels, 3)]
    noise = random.integers(-12, 13, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8), labels


def save(path: Path, pixels: np.ndarray) -> None:
    """Write an image file, folders included; three channels are RGB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels[..., ::-1] if pixels.ndim == 3 else pixels)


def folder(root: Path, count: int = 12, suffix: str = '', extension: str = '.png') -> Path:
    """`images/` and `labels/`, frames of four recordings."""
    for number in range(count):
        image, labels = drawn(number)
        name = f'field{number % 4}_{number:04d}'
        save(root / 'images' / f'{name}{extension}', image)
        save(root / 'labels' / f'{name}{suffix}.png', labels)
    return root


def cityscapes(root: Path, kind: str = 'labelIds') -> Path:
    """Road (7; 0), sidewalk (8; 1) and car (26; 13) in the layout of Cityscapes."""
    table = np.full(256, 0 if kind == 'labelIds' else VOID, np.uint8)
    table[:3] = (7, 8, 26) if kind == 'labelIds' else (0, 1, 13)
    for number, split in enumerate(('train', 'train', 'val')):
        image, labels = drawn(number)
        stem = f'aachen/aachen_{number:06d}_000019'
        save(root / 'leftImg8bit' / split / f'{stem}_leftImg8bit.png', image)
        save(root / 'gtFine' / split / f'{stem}_gtFine_{kind}.png', table[labels])
        # Other files of the benchmark lie beside them.
        save(root / 'gtFine' / split / f'{stem}_gtFine_color.png', image)
    return root


def voc(root: Path) -> Path:
    """As CVAT exports it: JPEG images, colours of `labelmap.txt`, lists of names."""
    palette = np.zeros((256, 3), np.uint8)
    palette[:3] = COLORS
    lines = ['# label:color_rgb:parts:actions', 'background:0,0,0::']
    lines += [f'{name}:{",".join(map(str, color))}::' for name, color in zip(CLASSES, COLORS)]
    (root / 'ImageSets/Segmentation').mkdir(parents=True)
    (root / 'labelmap.txt').write_text('\n'.join(lines) + '\n')
    for split, numbers in (('train', (0, 1)), ('val', (2,))):
        names = [f'img_{number}' for number in numbers]
        (root / f'ImageSets/Segmentation/{split}.txt').write_text('\n'.join(names) + '\n')
        for number in numbers:
            image, labels = drawn(number)
            save(root / f'JPEGImages/img_{number}.jpg', image)
            save(root / f'SegmentationClass/img_{number}.png', palette[labels])
    return root


def coco(root: Path) -> Path:
    """Polygons in `annotations/instances_SPLIT.json`; the ground is what no polygon covers."""
    for split, numbers in (('train', (0, 1)), ('val', (2,))):
        images, annotations = [], []
        for number in numbers:
            image, labels = drawn(number)
            save(root / split / f'{number:04d}.jpg', image)
            images.append(
                {'id': number, 'file_name': f'{number:04d}.jpg', 'width': 64, 'height': 48}
            )
            for value in (1, 2):
                mask = (labels == value).astype(np.uint8)
                outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
                for outline in outlines:
                    annotations.append(
                        {
                            'id': len(annotations),
                            'image_id': number,
                            'category_id': 10 * value,
                            'segmentation': [outline.reshape(-1).tolist()],
                            'iscrowd': 0,
                        }
                    )
        categories = [{'id': 10, 'name': 'crop'}, {'id': 20, 'name': 'Weed'}]
        content = {'images': images, 'annotations': annotations, 'categories': categories}
        path = root / 'annotations' / f'instances_{split}.json'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    return root
