# SPDX-License-Identifier: Apache-2.0
"""Labels of images, given as paths, as a Pillow image and as a NumPy array: the same answers.

    images.py MODEL IMAGE...
"""
import sys

import numpy as np
from PIL import Image

import tessera

directory, *paths = sys.argv[1:]
classifier = tessera.Classifier(directory)
pictures = [Image.open(path).convert("RGB") for path in paths]
by_path = classifier(images=paths)
by_picture = classifier(images=pictures)
by_array = classifier(
    images=[np.asarray(picture) for picture in pictures]
)  # uint8, (height, width, 3)
for path, answer in zip(paths, by_path):
    print(f"{answer['label']}  {answer['score']:.3f}  {path}")
print(f"the same from Pillow and NumPy: {'yes' if by_path == by_picture == by_array else 'no'}")
