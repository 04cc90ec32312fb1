"""What a report says of an autoencoder: images, and what came back."""

from collections.abc import Iterator

from keras_azure.reporting.album import Album
from keras_azure.reporting.galleries import to_images
from keras_azure.reporting.parts import Figure, Gallery, Section, Text
from keras_azure.reporting.pictures import Pictures


def sections(pictures: Pictures, album: Album) -> Iterator[Section]:
    figures = []
    for place, (image, back) in enumerate(pictures.came_back):
        alts = [f"Test image {place}", f"What came back of test image {place}"]
        if shown := to_images([image, back], alts, album):
            figures.append(Figure(shown, f"Test image {place}, and what came back"))
    if figures:
        yield Section("Test", [Text("Test images, each beside what the autoencoder made of it:"), Gallery(figures)])
