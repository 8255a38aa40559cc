"""The plain Keras network of the tutorials on pictures, for `bench/pictures.py`; runs with an interpreter of its own.

    python keras_pictures.py TRAIN.parquet TEST.parquet EPOCHS OUT

The files have the columns `image` (encoded) and `label`. Three convolutions and two dense layers for small pictures
(TensorFlow's tutorial on CIFAR-10), four and two for photographs of 150 × 150 pixels (the one on cats and dogs).
Writes OUT.npz (probabilities for the test rows) and OUT.json (seconds since the process began, after each part).
"""

import io
import json
import os
import sys
import time

BEGAN = float(os.environ.get("BENCH_BEGAN", time.time()))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import tensorflow as tf  # noqa: E402
from PIL import Image  # noqa: E402


def pixels(files, side):
    found = [Image.open(io.BytesIO(data)).convert("RGB") for data in files]
    if side:
        found = [picture.resize((side, side), Image.Resampling.BILINEAR) for picture in found]
    return np.stack([np.asarray(picture) for picture in found]).astype(np.float32) / 255.0


def network(shape, classes):
    layers = tf.keras.layers
    wide = shape[0] > 100
    made = [layers.Input(shape)]
    for width in (32, 64, 128, 128) if wide else (32, 64):
        made += [layers.Conv2D(width, 3, activation="relu"), layers.MaxPooling2D(2)]
    if not wide:
        made.append(layers.Conv2D(64, 3, activation="relu"))
    made += [layers.Flatten(), layers.Dense(512 if wide else 64, activation="relu")]
    made.append(layers.Dense(classes))
    return tf.keras.Sequential(made)


def main(train, test, epochs, out):
    tf.keras.utils.set_random_seed(int(os.environ.get("BENCH_SEED", "0")))
    tf.config.threading.set_intra_op_parallelism_threads(2)
    imported = time.time() - BEGAN
    given, asked = pd.read_parquet(train), pd.read_parquet(test)
    given = given.sample(frac=1.0, random_state=0)
    first = Image.open(io.BytesIO(given["image"].iloc[0])).size
    side = 150 if max(first) > 100 else 0
    x, y = pixels(given["image"], side), given["label"].to_numpy()
    decoded = time.time() - BEGAN
    model = network(x.shape[1:], int(y.max()) + 1)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    model.fit(x, y, epochs=int(epochs), batch_size=32, verbose=0)
    trained = time.time() - BEGAN
    said = tf.nn.softmax(model.predict(pixels(asked["image"], side), verbose=0)).numpy()
    np.savez(out + ".npz", probability=said)
    told = {"imported": imported, "decoded": decoded, "seconds": trained, "epochs": int(epochs)}
    with open(out + ".json", "w") as stream:  # noqa: PTH123
        json.dump(told, stream)


if __name__ == "__main__":
    main(*sys.argv[1:])
