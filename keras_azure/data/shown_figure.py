"""A figure of Matplotlib that a notebook shows, also where nothing of `matplotlib.pyplot` is loaded."""

import io

from matplotlib.figure import Figure


class ShownFigure(Figure):
    def _repr_png_(self) -> bytes:
        png = io.BytesIO()
        self.savefig(png, format="png")
        return png.getvalue()
