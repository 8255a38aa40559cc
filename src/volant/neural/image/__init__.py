"""Networks for pictures: their layers, their rows, their augmentation, and how they are trained and exported."""
